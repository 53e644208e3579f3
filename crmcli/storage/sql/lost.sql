-- Why and at which stage were the deals lost that closed in a period, and for how many is a return planned?
WITH cohort AS (
    SELECT deal_id, opened_at, amount, lost_reason, return_on, stage
    FROM deals
    WHERE $pipeline IS NULL OR pipeline = $pipeline
),
steps AS MATERIALIZED (
    SELECT * FROM stops('cohort', $as_of)
)
SELECT
    CAST(d.lost_reason AS VARCHAR) AS reason,
    -- What is known of a history may begin with its end.
    coalesce(CAST(s.stage AS VARCHAR), CAST(d.stage AS VARCHAR)) AS stage,
    count(*) AS lost,
    sum(d.amount) AS expected_amount,
    count(d.return_on) AS with_return
FROM in_chain('steps') d
LEFT JOIN stages s ON s.position = d.came_from
WHERE d.is_last AND d.place = -1 AND ($from_at IS NULL OR (d.changed_at >= $from_at AND d.changed_at < $to_at))
GROUP BY ALL
ORDER BY lost DESC, reason NULLS LAST, stage
