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
        -- Numbers, for texts and pairs take the engine twice as long: won is the last place, lost comes before all.
        CAST(
            CASE e.to_stage WHEN 'won' THEN $stages WHEN 'lost' THEN -1 ELSE coalesce(s.position, 0) END AS INTEGER
        ) AS place,
        e.changed_at,
        -- Entries of one instant follow in this order; a closing without a date is told from the opening by it.
        4 * epoch_us(coalesce(e.changed_at, h.opened_at, TIMESTAMP '0001-01-01'))
            + CASE WHEN e.to_stage IN ('won', 'lost') THEN 2 WHEN e.move = 'open' THEN 0 ELSE 1 END AS turn
    FROM stage_changes e
    JOIN cohort h ON h.deal_id = e.deal_id
    LEFT JOIN stages s ON s.stage = e.to_stage
    WHERE e.changed_at IS NULL OR e.changed_at <= $as_of
),
steps AS (
    SELECT
        deal_id,
        grouping,
        place,
        changed_at,
        lead(changed_at) OVER later AS left_at,
        lead(place) OVER later AS next_place
    FROM entries
    WINDOW later AS (PARTITION BY deal_id ORDER BY turn)
),
reached AS (
    SELECT
        deal_id,
        any_value(grouping) AS grouping,
        greatest(max(place) FILTER (place < $stages), 1) AS furthest,
        max(place) FILTER (next_place IS NULL) AS latest
    FROM steps
    GROUP BY deal_id
),
outcomes AS (
    SELECT
        grouping,
        CASE WHEN latest = $stages THEN $stages ELSE furthest END AS reach,
        CASE WHEN latest = $stages THEN 'won' WHEN latest = -1 THEN 'lost' ELSE 'open' END AS outcome,
        count(*) AS deals
    FROM reached
    GROUP BY ALL
),
durations AS (
    SELECT
        grouping,
        place AS position,
        quantile_cont(date_diff('microsecond', changed_at, left_at) / 86400e6, [0.5, 0.9]) AS days
    FROM steps
    WHERE place > 0 AND place < $stages AND left_at IS NOT NULL AND changed_at IS NOT NULL
    GROUP BY ALL
)
,
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
