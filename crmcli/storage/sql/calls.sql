-- What calls were there in each of some periods, in all or by group, and how soon were those that were missed returned?
WITH calls AS (
    SELECT
        client_id,
        by_id,
        CAST(result AS VARCHAR) AS result,
        seconds,
        happened_at,
        happened_at AT TIME ZONE 'UTC' AT TIME ZONE $zone AS local_at,
        direction = 'in' AS is_incoming,
        -- What took no second was no talk, whatever the exchange says of it; what took some was one, if it says nothing.
        CASE WHEN result IS NULL THEN coalesce(seconds > 0, FALSE) ELSE result = 'answered' AND coalesce(seconds > 0, TRUE) END
            AS is_talk
    FROM activities
    WHERE kind = 'call' AND NOT voided AND happened_at <= $as_of
),
returns AS (
    SELECT client_id, happened_at AS returned_at FROM calls WHERE NOT is_incoming OR is_talk
),
followed AS (
    SELECT c.*, r.returned_at
    FROM (SELECT * FROM calls WHERE is_incoming AND NOT is_talk) c
    ASOF LEFT JOIN returns r ON r.client_id = c.client_id AND r.returned_at > c.happened_at
    UNION ALL
    SELECT *, NULL FROM calls WHERE NOT is_incoming OR is_talk
),
grouped AS (
    SELECT
        p.period,
        CASE $by
            WHEN 'day' THEN strftime(f.local_at, '%Y-%m-%d')
            WHEN 'week' THEN strftime(f.local_at, '%G-W%V')
            WHEN 'month' THEN strftime(f.local_at, '%Y-%m')
            WHEN 'hour' THEN strftime(f.local_at, '%H')
            WHEN 'manager' THEN CAST(f.by_id AS VARCHAR)
            WHEN 'result' THEN f.result
        END AS grouping,
        f.*,
        is_incoming AND NOT is_talk AS is_missed,
        returned_at <= happened_at + INTERVAL 1 HOUR AS is_within_hour,
        CAST(returned_at AT TIME ZONE 'UTC' AT TIME ZONE $zone AS DATE) = CAST(local_at AS DATE) AS is_same_day
    FROM followed f
    JOIN periods p
        ON (p.from_at IS NULL OR f.happened_at >= p.from_at) AND (p.to_at IS NULL OR f.happened_at < p.to_at)
)
SELECT
    period,
    grouping,
    CAST(min(local_at) AS DATE) AS first_on,
    CAST(max(local_at) AS DATE) AS last_on,
    count(*) FILTER (is_incoming) AS incoming,
    count(*) FILTER (is_incoming AND is_talk) AS incoming_answered,
    count(*) FILTER (NOT is_incoming) AS outgoing,
    count(*) FILTER (NOT is_incoming AND is_talk) AS outgoing_answered,
    count(*) FILTER (is_missed) AS missed,
    count(*) FILTER (is_missed AND is_within_hour) AS returned_1h,
    count(*) FILTER (is_missed AND NOT is_within_hour AND is_same_day) AS returned_day,
    count(*) FILTER (is_missed AND NOT is_within_hour AND NOT is_same_day) AS returned_later,
    count(*) FILTER (is_missed AND returned_at IS NULL) AS never_returned,
    count(DISTINCT client_id) FILTER (is_talk) AS clients_reached,
    CAST(outgoing / nullif(count(DISTINCT client_id) FILTER (NOT is_incoming), 0) AS DECIMAL(18, 2)) AS attempts_per_client,
    CASE WHEN bool_or(is_talk) THEN round(sum(seconds) FILTER (is_talk) / 60, 1) ELSE 0 END AS talk_minutes,
    median(seconds) FILTER (is_talk) AS median_seconds
FROM grouped
GROUP BY period, grouping
ORDER BY period, grouping
