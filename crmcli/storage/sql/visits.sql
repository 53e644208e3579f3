-- Which visits did the deals of a pipeline pay to its stages up to an instant?
WITH cohort AS (
    SELECT deal_id, client_id, opened_at
    FROM deals
    WHERE pipeline = $pipeline
        AND (opened_at IS NULL OR opened_at <= $as_of)
        AND ($from_at IS NULL OR (opened_at >= $from_at AND opened_at < $to_at))
),
steps AS MATERIALIZED (
    SELECT * FROM stops('cohort', $as_of)
)
SELECT
    deal_id,
    client_id,
    opened_at,
    CAST(place AS INTEGER) AS position,
    changed_at AS entered_at,
    left_at,
    is_last AS is_open
FROM in_chain('steps')
WHERE place > 0
