-- How many days lie between one occasion of a client and the next, by segment and in all?
WITH gaps AS (
    SELECT client_id, sold_on - lag(sold_on) OVER (PARTITION BY client_id ORDER BY sold_on) AS days
    FROM buying_days($as_of, $zone)
    WHERE net > 0
)
SELECT
    CAST(c.segment AS VARCHAR) AS segment,
    grouping(segment) = 1 AS is_whole,
    quantile_cont(g.days, 0.25) AS gap_low,
    quantile_cont(g.days, 0.5) AS gap_median,
    quantile_cont(g.days, 0.75) AS gap_high
FROM gaps g
JOIN clients c ON c.client_id = g.client_id
WHERE g.days IS NOT NULL
GROUP BY GROUPING SETS ((segment), ())
