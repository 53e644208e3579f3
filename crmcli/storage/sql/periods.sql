-- After how many days do clients buy again, by segment and in all?
WITH known AS (
    SELECT b.*, CAST(c.segment AS VARCHAR) AS segment
    FROM buyers($as_of, $zone) b
    JOIN clients c ON c.client_id = b.client_id
)
SELECT
    segment,
    grouping(segment) = 1 AS is_whole,
    avg(own_days) AS period_days,
    quantile_cont(own_days, 0.25) AS period_low,
    quantile_cont(own_days, 0.5) AS period_median,
    quantile_cont(own_days, 0.75) AS period_high,
    quantile_cont(own_days, 0.8) AS period_p80,
    count(own_days) AS clients,
    count(*) AS buyers,
    sum(last_sale_on - first_sale_on) / nullif(sum(purchases - 1), 0) AS interval_mean
FROM known
GROUP BY GROUPING SETS ((segment), ())
ORDER BY is_whole, segment NULLS LAST
