-- Where do the deals of a pipeline stand at an instant?
WITH cohort AS (
    SELECT deal_id, opened_at
    FROM opened($pipeline, $from_at, $to_at, $as_of)
),
steps AS MATERIALIZED (
    SELECT * FROM stops('cohort', $as_of)
)
SELECT
    CASE place WHEN -2 THEN 'won' WHEN -1 THEN 'lost' END AS outcome,
    CASE WHEN place >= 0 THEN CAST(place AS INTEGER) END AS position,
    count(*) AS deals
FROM in_chain('steps')
WHERE is_last
GROUP BY ALL
ORDER BY position NULLS LAST, outcome
