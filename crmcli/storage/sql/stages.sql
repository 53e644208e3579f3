-- How long do deals stay at each stage, how many of them within its norm, and how do those stand that are there now?
WITH cohort AS (
    SELECT deal_id, opened_at
    FROM deals
    WHERE pipeline = $pipeline
        AND (opened_at IS NULL OR opened_at <= $as_of)
        AND ($from_at IS NULL OR (opened_at >= $from_at AND opened_at < $to_at))
),
entries AS (
    SELECT
        e.deal_id,
        CAST(CASE WHEN e.to_stage IN ('won', 'lost') THEN 0 ELSE coalesce(s.position, 0) END AS INTEGER) AS position,
        e.changed_at,
        -- Entries of one instant follow in this order.
        4 * epoch_us(coalesce(e.changed_at, c.opened_at, TIMESTAMP '0001-01-01'))
            + CASE WHEN e.to_stage IN ('won', 'lost') THEN 2 WHEN e.move = 'open' THEN 0 ELSE 1 END AS turn
    FROM stage_changes e
    JOIN cohort c ON c.deal_id = e.deal_id
    LEFT JOIN stages s ON s.stage = e.to_stage
    WHERE e.changed_at IS NULL OR e.changed_at <= $as_of
),
steps AS (
    SELECT
        deal_id,
        position,
        changed_at AS entered_at,
        lead(changed_at) OVER later AS left_at,
        lead(position) OVER later IS NULL AS is_open
    FROM entries
    WINDOW later AS (PARTITION BY deal_id ORDER BY turn)
),
visits AS (
    SELECT
        v.*,
        n.norm,
        date_diff('microsecond', v.entered_at, CASE WHEN v.is_open THEN $as_of ELSE v.left_at END) / 86400e6 AS days
    FROM steps v
    LEFT JOIN norms n ON n.position = v.position
    WHERE v.position > 0
),
timed AS (
    SELECT v.*, d.ends_at
    FROM visits v
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
