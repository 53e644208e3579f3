-- How far did the deals opened in a period get, stage by stage, and where were they lost?
WITH first_occasions AS (
    SELECT client_id, min(sold_at) AS first_sold_at
    FROM sales
    WHERE amount > 0 AND NOT voided
    GROUP BY client_id
),
cohort AS (
    SELECT
        d.deal_id,
        d.opened_at,
        CASE $by
            WHEN 'owner' THEN CAST(d.owner_id AS VARCHAR)
            WHEN 'source' THEN CAST(c.source AS VARCHAR)
            WHEN 'segment' THEN CAST(c.segment AS VARCHAR)
            WHEN 'repeat' THEN CASE WHEN f.first_sold_at < d.opened_at THEN 'repeat' ELSE 'first' END
        END AS grouping
    FROM opened($pipeline, $from_at, $to_at, $as_of) d
    LEFT JOIN clients c ON c.client_id = d.client_id
    LEFT JOIN first_occasions f ON f.client_id = d.client_id
),
steps AS MATERIALIZED (
    SELECT * FROM stops('cohort', $as_of)
),
visits AS NOT MATERIALIZED (
    SELECT * FROM in_chain('steps')
),
reached AS (
    SELECT
        deal_id,
        any_value(grouping) AS grouping,
        greatest(max(place), 1) AS furthest,
        max(place) FILTER (is_last) AS latest
    FROM visits
    GROUP BY deal_id
),
outcomes AS (
    SELECT
        grouping,
        CASE WHEN latest = -2 THEN $stages ELSE furthest END AS reach,
        CASE WHEN latest = -2 THEN 'won' WHEN latest = -1 THEN 'lost' ELSE 'open' END AS outcome,
        count(*) AS deals
    FROM reached
    GROUP BY ALL
),
durations AS (
    SELECT
        grouping,
        place AS position,
        quantile_cont(date_diff('microsecond', changed_at, left_at) / 86400e6, [0.5, 0.9]) AS days
    FROM visits
    WHERE place > 0 AND left_at IS NOT NULL AND changed_at IS NOT NULL
    GROUP BY ALL
),
rows_wanted AS (
    SELECT g.grouping, p.position
    FROM (SELECT DISTINCT grouping FROM outcomes) g, (SELECT unnest(range(1, $stages + 1)) AS position) p
),
counted AS (
    SELECT
        r.grouping,
        r.position,
        coalesce(sum(o.deals) FILTER (o.reach >= r.position), 0) AS reached,
        coalesce(sum(o.deals) FILTER (o.reach = r.position AND o.outcome = 'lost'), 0) AS lost,
        coalesce(sum(o.deals) FILTER (o.reach = r.position AND o.outcome = 'open'), 0) AS still_open
    FROM rows_wanted r
    JOIN outcomes o ON o.grouping IS NOT DISTINCT FROM r.grouping
    GROUP BY ALL
)
SELECT
    c.grouping,
    CAST(c.position AS INTEGER) AS position,
    CAST(c.reached AS BIGINT) AS reached,
    CAST(c.lost AS BIGINT) AS lost,
    CAST(c.still_open AS BIGINT) AS open,
    round(d.days[1], 1) AS median_days,
    round(d.days[2], 1) AS p90_days
FROM counted c
LEFT JOIN durations d ON d.grouping IS NOT DISTINCT FROM c.grouping AND d.position = c.position
ORDER BY c.grouping NULLS LAST, c.position
