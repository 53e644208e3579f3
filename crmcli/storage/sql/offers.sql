-- To whom could a product be offered: who bought what its buyers buy, or the price below it, and not the product itself?
WITH bought AS (
    SELECT client_id, product_id, max(sold_on) AS sold_on FROM goods_sold($as_of, $zone) GROUP BY client_id, product_id
),
owners AS (
    SELECT client_id
    FROM bought
    WHERE product_id = $product AND ($again_days IS NULL OR date_diff('day', sold_on, $today) < $again_days)
),
crossed AS (
    SELECT
        b.client_id,
        'cross-sell' AS kind,
        arg_max(p.product_id, (p.confidence, -p.product_id)) AS because_id,
        max(p.confidence) AS confidence
    FROM bought b
    JOIN pairs p ON p.product_id = b.product_id
    GROUP BY b.client_id
),
stepped AS (
    SELECT client_id, 'up-sell' AS kind, min(product_id) AS because_id, NULL::DOUBLE AS confidence
    FROM bought
    WHERE product_id IN (SELECT product_id FROM steps)
    GROUP BY client_id
),
found AS (
    FROM crossed
    UNION ALL
    SELECT s.*
    FROM stepped s
    WHERE
        s.client_id NOT IN (SELECT client_id FROM crossed)
        AND s.client_id NOT IN (SELECT client_id FROM bought WHERE product_id IN (SELECT product_id FROM dearer))
)
SELECT f.client_id, f.kind, f.because_id, f.confidence, l.last_sale_on, c.owner_id, count(*) OVER () AS total
FROM found f
JOIN clients c ON c.client_id = f.client_id
LEFT JOIN buyers($as_of, $zone) l ON l.client_id = f.client_id
WHERE NOT c.archived AND NOT c.do_not_contact AND f.client_id NOT IN (SELECT client_id FROM owners)
ORDER BY f.confidence DESC NULLS LAST, l.last_sale_on DESC NULLS LAST, f.client_id
LIMIT $limit
