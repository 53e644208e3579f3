-- Which deals of a pipeline were open at an instant, at which stage and since when?
WITH entries AS (
    SELECT
        e.deal_id,
        d.client_id,
        d.opened_at,
        coalesce(s.present, CAST(e.to_stage AS VARCHAR)) AS stage,
        e.changed_at,
        coalesce(e.changed_at, d.opened_at, TIMESTAMP '0001-01-01') AS entered_at,
        CASE WHEN e.to_stage IN ('won', 'lost') THEN 2 WHEN e.move = 'open' THEN 0 ELSE 1 END AS rank
    FROM stage_changes e
    JOIN deals d ON d.deal_id = e.deal_id
    LEFT JOIN stages s ON s.stage = e.to_stage
    WHERE d.pipeline = $pipeline
        AND (e.changed_at IS NULL OR e.changed_at <= $as_of)
        AND (d.opened_at IS NULL OR d.opened_at <= $as_of)
        AND ($from_at IS NULL OR (d.opened_at >= $from_at AND d.opened_at < $to_at))
),
latest AS (
    SELECT
        deal_id,
        any_value(client_id) AS client_id,
        any_value(opened_at) AS opened_at,
        arg_max(stage, (entered_at, rank)) AS stage,
        arg_max_null(changed_at, (entered_at, rank)) AS entered_at
    FROM entries
    GROUP BY deal_id
)
SELECT deal_id, client_id, $pipeline AS pipeline, stage, opened_at, entered_at
FROM latest
WHERE stage NOT IN ('won', 'lost')
ORDER BY deal_id
