-- What the statements on goods share: each listed product on a sale that was neither voided nor given back in full.
CREATE MACRO goods_sold(until, zone) AS TABLE
WITH given_back AS (
    SELECT refund_of, sum(amount) AS amount
    FROM sales
    WHERE refund_of IS NOT NULL AND NOT voided AND sold_at <= until
    GROUP BY refund_of
)
SELECT
    s.client_id,
    l.product_id,
    CAST(s.sold_at AT TIME ZONE 'UTC' AT TIME ZONE zone AS DATE) AS sold_on,
    sum(l.quantity) AS quantity
FROM sales s
JOIN sale_lines l ON l.sale_id = s.sale_id
LEFT JOIN given_back g ON g.refund_of = s.sale_id
WHERE
    l.product_id IS NOT NULL
    AND s.refund_of IS NULL
    AND NOT s.voided
    AND s.sold_at <= until
    AND s.amount + coalesce(g.amount, 0) > 0
GROUP BY s.client_id, l.product_id, sold_on;
