-- How many deals of each owner were won and lost in a period, and how many are open?
WITH cohort AS (
    SELECT deal_id, opened_at, owner_id FROM deals WHERE opened_at IS NULL OR opened_at <= $as_of
),
steps AS MATERIALIZED (
    SELECT * FROM stops('cohort', $as_of)
),
states AS (
    SELECT
        owner_id,
        place,
        $from_at IS NULL OR (changed_at >= $from_at AND changed_at < $to_at) AS is_within
    FROM in_chain('steps')
    WHERE is_last
)
SELECT
    CAST(owner_id AS VARCHAR) AS grouping,
    count(*) FILTER (place = -2 AND is_within) AS won,
    count(*) FILTER (place = -1 AND is_within) AS lost,
    count(*) FILTER (place >= 0) AS open_now
FROM states
GROUP BY owner_id
ORDER BY owner_id
