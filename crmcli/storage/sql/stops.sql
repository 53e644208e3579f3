-- What the statements on deals share: the deals of a pipeline that were opened in a period, as far as it was over.
CREATE MACRO opened(of_pipeline, from_at, to_at, until) AS TABLE
SELECT *
FROM deals
WHERE pipeline = of_pipeline
    AND (opened_at IS NULL OR opened_at <= until)
    AND (from_at IS NULL OR (opened_at >= from_at AND opened_at < to_at));

-- The entries in the histories of deals, each with when the next one left it.
-- `cohort` names the deals, with deal_id and opened_at. Places are numbers, for texts and pairs take the engine twice as
-- long: a stage has its position, 0 if it is unknown; a deal that is lost is at -1, one that is won at -2.
CREATE MACRO stops(cohort, until) AS TABLE
WITH entries AS (
    SELECT
        c.*,
        CAST(
            CASE e.to_stage WHEN 'won' THEN -2 WHEN 'lost' THEN -1 ELSE coalesce(s.position, 0) END AS SMALLINT
        ) AS place,
        -- A deal that is reopened comes from a closing, and a new one from nowhere.
        CAST(
            CASE e.move WHEN 'reopen' THEN -1 WHEN 'open' THEN -3 ELSE coalesce(b.position, 0) END AS SMALLINT
        ) AS came_from,
        e.changed_at,
        -- Entries of one instant follow in this order; those that are next to one another in it are tied.
        8 * epoch_us(coalesce(e.changed_at, c.opened_at, TIMESTAMP '0001-01-01'))
            + CASE
                WHEN e.to_stage IN ('won', 'lost') THEN 4
                ELSE CASE e.move WHEN 'open' THEN 0 WHEN 'reopen' THEN 3 ELSE 2 END
            END AS turn
    FROM stage_changes e
    JOIN query_table(cohort) c ON c.deal_id = e.deal_id
    LEFT JOIN stages s ON s.stage = e.to_stage
    LEFT JOIN stages b ON b.stage = e.from_stage
    WHERE e.changed_at IS NULL OR e.changed_at <= until
)
SELECT
    * EXCLUDE (turn),
    lead(changed_at) OVER later AS left_at,
    lead(turn) OVER later - turn <= 1 AS is_tied
FROM entries
WINDOW later AS (PARTITION BY deal_id ORDER BY turn);

-- The same as it came about, with is_last instead. Of entries that are tied the last is the one to where the deal was
-- when the instant was over: where it came more often than it left, or else where it was before. The others last no
-- time, so that their order tells nothing; who won is not lost again.
CREATE MACRO in_chain(stops) AS TABLE
WITH tied AS (
    SELECT DISTINCT deal_id FROM query_table(stops) WHERE is_tied
),
knots AS (
    SELECT
        s.*,
        coalesce(s.changed_at, s.opened_at, TIMESTAMP '0001-01-01') AS instant,
        greatest(s.place, -1) AS came_to
    FROM query_table(stops) s
    SEMI JOIN tied t ON t.deal_id = s.deal_id
),
balances AS (
    SELECT deal_id, instant, unnest([came_to, came_from]) AS place, unnest([1, -1]) AS balance FROM knots
),
instants AS (
    SELECT deal_id, instant, max(place) FILTER (balance > 0) AS place
    FROM (SELECT deal_id, instant, place, sum(balance) AS balance FROM balances GROUP BY deal_id, instant, place)
    GROUP BY deal_id, instant
),
ends AS (
    SELECT
        deal_id,
        instant,
        last_value(place IGNORE NULLS) OVER (PARTITION BY deal_id ORDER BY instant) AS place
    FROM instants
)
SELECT s.* EXCLUDE (is_tied), s.is_tied IS NULL AS is_last
FROM query_table(stops) s
ANTI JOIN tied t ON t.deal_id = s.deal_id
UNION ALL
SELECT
    k.* EXCLUDE (is_tied, instant, came_to) REPLACE (lead(k.changed_at) OVER later AS left_at),
    lead(k.place) OVER later IS NULL AS is_last
FROM knots k
JOIN ends e ON e.deal_id = k.deal_id AND e.instant = k.instant
WINDOW later AS (
    PARTITION BY k.deal_id
    ORDER BY k.instant, coalesce(k.came_to = e.place, FALSE), k.came_from > -3, k.place < 0, abs(k.place)
);
