-- Which products are bought by the same clients more often than chance has it?
WITH bought AS (
    SELECT DISTINCT client_id, product_id FROM goods_sold($as_of, $zone)
),
everybody AS (
    SELECT count(DISTINCT client_id) AS clients FROM bought
),
buyers AS (
    SELECT product_id, count(*) AS clients FROM bought GROUP BY product_id
),
both_bought AS (
    SELECT a.product_id, b.product_id AS other_id, count(*) AS clients
    FROM bought a
    JOIN bought b ON b.client_id = a.client_id AND b.product_id <> a.product_id
    GROUP BY a.product_id, other_id
)
SELECT
    t.product_id,
    t.other_id,
    t.clients,
    t.clients / b.clients AS confidence,
    confidence / (o.clients / e.clients) AS lift
FROM both_bought t
JOIN buyers b ON b.product_id = t.product_id
JOIN buyers o ON o.product_id = t.other_id
CROSS JOIN everybody e
WHERE t.clients >= $fewest AND 100 * t.clients >= e.clients AND lift > $least_lift
ORDER BY t.product_id, confidence DESC, t.other_id
