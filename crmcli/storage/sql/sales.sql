-- What was sold in each of some periods, in all or by group, and to how many who had never bought before?
WITH shares AS (
    -- Lines need not come to the sum of their document, for a rebate is on no line. A share lies between two marks, so
    -- that the parts, each rounded to a cent, come to the whole.
    SELECT
        sale_id,
        product_id,
        sum(sum(amount)) OVER so_far / sum(sum(amount)) OVER document AS upper_mark,
        (sum(sum(amount)) OVER so_far - sum(amount)) / sum(sum(amount)) OVER document AS lower_mark
    FROM sale_lines
    GROUP BY sale_id, product_id
    WINDOW document AS (PARTITION BY sale_id), so_far AS (PARTITION BY sale_id ORDER BY product_id)
    QUALIFY sum(sum(amount)) OVER document <> 0
),
documents AS (
    SELECT
        s.sale_id,
        s.client_id,
        s.by_id,
        s.amount,
        s.amount > 0 AS is_sale,
        s.sold_at,
        CAST(s.sold_at AT TIME ZONE 'UTC' AT TIME ZONE $zone AS DATE) AS sold_on,
        -- A refund that does not say of what it is, is of the goods of the document that it refunds.
        CASE WHEN l.sale_id IS NULL THEN coalesce(s.refund_of, s.sale_id) ELSE s.sale_id END AS goods_of
    FROM sales s
    LEFT JOIN (SELECT DISTINCT sale_id FROM shares) l ON l.sale_id = s.sale_id
    WHERE NOT s.voided AND s.sold_at <= $as_of
),
parts AS (
    SELECT d.*, NULL AS product_id FROM documents d ANTI JOIN shares s ON s.sale_id = d.goods_of
    UNION ALL
    SELECT
        d.* REPLACE (
            CAST(round(d.amount * s.upper_mark, 2) - round(d.amount * s.lower_mark, 2) AS DECIMAL(18, 2)) AS amount
        ),
        s.product_id
    FROM documents d
    JOIN shares s ON s.sale_id = d.goods_of
),
first_days AS (
    SELECT client_id, min(sold_on) AS sold_on FROM buying_days($as_of, $zone) WHERE net > 0 GROUP BY client_id
),
grouped AS (
    SELECT
        p.period,
        CASE $by
            WHEN 'day' THEN strftime(d.sold_on, '%Y-%m-%d')
            WHEN 'week' THEN strftime(d.sold_on, '%G-W%V')
            WHEN 'month' THEN strftime(d.sold_on, '%Y-%m')
            WHEN 'quarter' THEN concat(year(d.sold_on), '-Q', quarter(d.sold_on))
            WHEN 'year' THEN strftime(d.sold_on, '%Y')
            WHEN 'manager' THEN CAST(d.by_id AS VARCHAR)
            WHEN 'source' THEN CAST(c.source AS VARCHAR)
            WHEN 'segment' THEN CAST(c.segment AS VARCHAR)
            WHEN 'product' THEN CAST(d.product_id AS VARCHAR)
        END AS grouping,
        d.client_id,
        d.sold_on,
        d.is_sale,
        d.amount,
        f.sold_on IS NOT NULL AS is_first
    FROM parts d
    JOIN periods p ON (p.from_at IS NULL OR d.sold_at >= p.from_at) AND (p.to_at IS NULL OR d.sold_at < p.to_at)
    LEFT JOIN clients c ON c.client_id = d.client_id
    LEFT JOIN first_days f ON f.client_id = d.client_id AND f.sold_on = d.sold_on
)
SELECT
    period,
    grouping,
    min(sold_on) AS first_on,
    max(sold_on) AS last_on,
    count(*) FILTER (is_sale) AS sales,
    coalesce(sum(amount) FILTER (is_sale), 0) AS gross,
    coalesce(-sum(amount) FILTER (NOT is_sale), 0) AS refunds,
    sum(amount) AS volume,
    CAST(round(gross / nullif(count(*) FILTER (is_sale), 0), 2) AS DECIMAL(18, 2)) AS average_check,
    CAST(CAST(median(amount) FILTER (is_sale) AS DECIMAL(18, 3)) AS DECIMAL(18, 2)) AS median_check,
    count(DISTINCT client_id) FILTER (is_sale) AS clients,
    count(DISTINCT client_id) FILTER (is_sale AND is_first) AS new_clients
FROM grouped
GROUP BY period, grouping
ORDER BY period, grouping
