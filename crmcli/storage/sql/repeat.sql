-- How many of those who bought, bought again, and how many within $horizon days of the first time?
WITH occasions AS (
    SELECT client_id, min(sold_on, 2) AS firsts
    FROM buying_days($as_of, $zone)
    WHERE net > 0
    GROUP BY client_id
),
cohort AS (
    SELECT
        CASE $by
            WHEN 'segment' THEN CAST(c.segment AS VARCHAR)
            WHEN 'source' THEN CAST(c.source AS VARCHAR)
            WHEN 'owner' THEN CAST(c.owner_id AS VARCHAR)
        END AS grouping,
        o.firsts[2] AS second_on,
        o.firsts[2] - o.firsts[1] AS gap,
        date_diff('day', o.firsts[1], $today) AS age
    FROM occasions o
    JOIN clients c ON c.client_id = o.client_id
    WHERE ($from_on IS NULL OR o.firsts[1] >= $from_on) AND ($to_on IS NULL OR o.firsts[1] < $to_on)
)
SELECT
    grouping,
    count(*) AS clients,
    count(second_on) AS repeat,
    count(*) FILTER (age >= $horizon) AS old_enough,
    count(*) FILTER (age >= $horizon AND gap <= $horizon) AS repeat_h
FROM cohort
GROUP BY grouping
ORDER BY grouping NULLS LAST
