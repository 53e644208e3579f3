-- Which visits did the deals of a pipeline pay to its stages up to an instant?
WITH cohort AS (
    SELECT deal_id, client_id, opened_at
    FROM opened($pipeline, $from_at, $to_at, $as_of)
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
