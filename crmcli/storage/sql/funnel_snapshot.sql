-- Where do the deals of a pipeline stand at an instant?
WITH entries AS (
    SELECT
        e.deal_id,
        CAST(e.to_stage AS VARCHAR) AS stage,
        s.position,
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
standing AS (
    SELECT
        arg_max(stage, (entered_at, rank)) AS stage,
        arg_max(coalesce(position, 0), (entered_at, rank)) AS position
    FROM entries
    GROUP BY deal_id
)
SELECT
    CASE WHEN stage IN ('won', 'lost') THEN stage END AS outcome,
    CASE WHEN stage IN ('won', 'lost') THEN NULL ELSE CAST(position AS INTEGER) END AS position,
    count(*) AS deals
FROM standing
GROUP BY ALL
ORDER BY position NULLS LAST, outcome
