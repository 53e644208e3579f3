-- Until when may each open deal stand at its stage, and is it overdue, idle or without a next step at an instant?
WITH placed AS (
    SELECT
        s.deal_id,
        s.client_id,
        s.opened_at,
        s.entered_at,
        t.norm,
        t.idle_before,
        t.idle_until
    FROM standing s
    LEFT JOIN terms t ON t.pipeline = s.pipeline AND t.stage = s.stage
),
timed AS (
    SELECT p.*, d.last_on, d.ends_at
    FROM placed p
    ASOF LEFT JOIN deadlines d ON d.term = p.norm AND p.entered_at >= d.starts_at
),
touched AS (
    SELECT p.deal_id, max(a.happened_at) AS touched_at
    FROM placed p
    JOIN activities a ON a.client_id = p.client_id AND coalesce(a.deal_id, p.deal_id) = p.deal_id
    WHERE NOT a.voided AND a.happened_at <= $as_of
    GROUP BY p.deal_id
),
planned AS (
    SELECT
        p.deal_id,
        -- What is overdue plans nothing; one of a whole day is so when that day is over.
        min(r.due_at) FILTER (WHERE r.due_at >= CASE WHEN r.has_time THEN $as_of ELSE $today END) AS first_due_at
    FROM placed p
    JOIN reminders r ON r.client_id = p.client_id AND coalesce(r.deal_id, p.deal_id) = p.deal_id
    WHERE r.created_at <= $as_of AND (r.status = 'open' OR r.done_at > $as_of)
    GROUP BY p.deal_id
)
SELECT
    t.deal_id,
    t.last_on AS deadline_on,
    CASE WHEN t.norm IS NULL THEN FALSE ELSE t.ends_at <= $as_of END AS overdue,
    CASE
        WHEN t.idle_before IS NULL OR p.first_due_at < coalesce(t.ends_at, t.idle_until) THEN FALSE
        -- Of instants that are null, greatest takes no notice.
        ELSE greatest(coalesce(t.opened_at, t.entered_at), a.touched_at) < t.idle_before
    END AS idle,
    p.deal_id IS NULL AS no_next_step
FROM timed t
LEFT JOIN touched a ON a.deal_id = t.deal_id
LEFT JOIN planned p ON p.deal_id = t.deal_id
ORDER BY t.deal_id
