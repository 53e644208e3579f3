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
    FROM deals d
    LEFT JOIN clients c ON c.client_id = d.client_id
    LEFT JOIN first_occasions f ON f.client_id = d.client_id
    WHERE d.pipeline = $pipeline
        AND (d.opened_at IS NULL OR d.opened_at <= $as_of)
        AND ($from_at IS NULL OR (d.opened_at >= $from_at AND d.opened_at < $to_at))
),
entries AS (
    SELECT
        e.deal_id,
        h.grouping,
        s.position,
        CAST(e.to_stage AS VARCHAR) AS stage,
        -- A closing without a date is told from the opening by its rank.
        coalesce(e.changed_at, h.opened_at, TIMESTAMP '0001-01-01') AS entered_at,
        e.changed_at AS dated_at,
        CASE WHEN e.to_stage IN ('won', 'lost') THEN 2 WHEN e.move = 'open' THEN 0 ELSE 1 END AS rank
    FROM stage_changes e
    JOIN cohort h ON h.deal_id = e.deal_id
    LEFT JOIN stages s ON s.stage = e.to_stage
    WHERE e.changed_at IS NULL OR e.changed_at <= $as_of
),
deals_reached AS (
    SELECT
        deal_id,
        any_value(grouping) AS grouping,
        coalesce(max(position), 1) AS furthest,
        arg_max(stage, (entered_at, rank)) AS latest
    FROM entries
    GROUP BY deal_id
),
outcomes AS (
    SELECT
        grouping,
        CASE latest WHEN 'won' THEN $stages ELSE furthest END AS reach,
        CASE WHEN latest IN ('won', 'lost') THEN latest ELSE 'open' END AS outcome,
        count(*) AS deals
    FROM deals_reached
    GROUP BY ALL
),
visits AS (
    SELECT
        grouping,
        position,
        date_diff('microsecond', entered_at, left_at) / 86400e6 AS days
    FROM (
        SELECT
            grouping,
            position,
            dated_at,
            entered_at,
            lead(dated_at) OVER (PARTITION BY deal_id ORDER BY entered_at, rank) AS left_at
        FROM entries
    )
    WHERE position IS NOT NULL AND dated_at IS NOT NULL AND left_at IS NOT NULL
),
durations AS (
    SELECT
        grouping,
        position,
        quantile_cont(days, 0.5) AS median_days,
        quantile_cont(days, 0.9) AS p90_days
    FROM visits
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
    round(d.median_days, 1) AS median_days,
    round(d.p90_days, 1) AS p90_days
FROM counted c
LEFT JOIN durations d ON d.grouping IS NOT DISTINCT FROM c.grouping AND d.position = c.position
ORDER BY c.grouping NULLS LAST, c.position
