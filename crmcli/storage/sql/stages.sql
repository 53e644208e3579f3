-- How long do deals stay at each stage, how many of them within its norm, and how do those stand that are there now?
WITH spent AS (
    SELECT
        v.*,
        n.norm,
        date_diff('microsecond', v.entered_at, CASE WHEN v.is_open THEN $as_of ELSE v.left_at END) / 86400e6 AS days
    FROM visits v
    LEFT JOIN norms n ON n.position = v.position
),
timed AS (
    SELECT v.*, d.ends_at
    FROM spent v
    ASOF LEFT JOIN deadlines d ON d.term = v.norm AND v.entered_at >= d.starts_at
)
SELECT
    t.position,
    count(*) AS visits,
    round(median(t.days), 1) AS median_days,
    round(quantile_cont(t.days, 0.9), 1) AS p90_days,
    count(*) FILTER (NOT t.is_open AND t.left_at < t.ends_at) AS in_norm,
    count(*) FILTER (CASE WHEN t.is_open THEN t.ends_at <= $as_of ELSE t.left_at IS NOT NULL AND t.ends_at IS NOT NULL END)
        AS judged,
    count(*) FILTER (t.is_open) AS inside,
    count(*) FILTER (t.is_open AND f.overdue) AS overdue,
    count(*) FILTER (t.is_open AND f.idle) AS idle,
    count(*) FILTER (t.is_open AND f.no_next_step) AS no_next_step,
    round(max(t.days) FILTER (t.is_open), 1) AS oldest_days
FROM timed t
LEFT JOIN flags f ON f.deal_id = t.deal_id
GROUP BY t.position
ORDER BY t.position
