-- Who bought, is due to buy again and may be called, the most valuable first; how many are left out, and why?
-- A row without a client counts those who are left out for one reason, in the place of the total.
WITH bought AS (
    SELECT
        b.*,
        CAST(c.segment AS VARCHAR) AS segment,
        c.owner_id,
        c.period_days AS set_days,
        c.archived OR c.do_not_contact AS is_let_alone
    FROM buyers($as_of, $zone) b
    JOIN clients c ON c.client_id = b.client_id
),
counted AS (
    SELECT segment, grouping(segment) = 1 AS is_whole, avg(own_days) AS period_days, count(own_days) AS clients
    FROM bought
    GROUP BY GROUPING SETS ((segment), ())
),
known AS (
    SELECT
        s.segment,
        CASE
            WHEN s.segment IS NOT NULL AND s.clients >= $fewest THEN 'segment'
            WHEN w.clients >= $fewest THEN 'base'
            ELSE 'default'
        END AS basis,
        CASE basis WHEN 'segment' THEN s.period_days WHEN 'base' THEN w.period_days ELSE $default_days END
            AS period_days
    FROM counted s
    JOIN counted w ON w.is_whole
    WHERE NOT s.is_whole
),
-- What was published is for everybody; its row without a segment is for those that are not in it.
segments AS (
    SELECT
        k.segment,
        coalesce(p.basis, other.basis, k.basis) AS basis,
        coalesce(p.period_days, other.period_days, k.period_days) AS segment_days
    FROM known k
    LEFT JOIN published p ON p.segment = k.segment
    LEFT JOIN published other ON other.segment IS NULL
),
measured AS (
    SELECT
        b.*,
        s.basis,
        s.segment_days,
        date_diff('day', b.last_sale_on, $today) AS days_since_last,
        coalesce(
            b.set_days,
            ((b.purchases - 1) * coalesce(b.own_days, 0) + $prior * s.segment_days) / (b.purchases - 1 + $prior)
        ) AS period_days,
        days_since_last / period_days AS times_period
    FROM bought b
    JOIN segments s ON s.segment IS NOT DISTINCT FROM b.segment
    WHERE NOT b.is_let_alone AND ($segment IS NULL OR coalesce(b.segment, 'unknown') = $segment)
),
late AS (
    SELECT m.*, b.band
    FROM measured m
    JOIN bands b ON m.times_period > b.above AND m.times_period <= b.upto
    WHERE
        m.days_since_last > CASE $rule WHEN 'own' THEN m.period_days ELSE coalesce(m.set_days, m.segment_days) END
        AND ($band IS NULL OR b.band = $band)
),
open_deals AS (
    SELECT deal_id, client_id
    FROM deals
    WHERE
        (opened_at IS NULL OR opened_at <= $as_of)
        AND (status = 'open' OR closed_at > $as_of)
),
worked_on AS (
    SELECT d.client_id, max(a.happened_at) AS touched_at
    FROM activities a
    JOIN open_deals d ON d.client_id = a.client_id AND (a.deal_id = d.deal_id OR a.deal_id IS NULL)
    WHERE NOT a.voided AND a.happened_at <= $as_of AND (a.kind <> 'call' OR a.result = 'answered')
    GROUP BY d.client_id
),
reminded AS (
    SELECT
        client_id,
        coalesce(bool_or(status <> 'held' AND (status = 'open' OR done_at > $as_of) AND cause = 'reactivation'), false)
            AS is_planned,
        coalesce(
            bool_or(
                (status = 'open' OR done_at > $as_of)
                AND cause NOT IN ('cadence', 'process', 'reactivation')
                AND due_at < $soon
            ),
            false
        ) AS is_taken_care_of,
        coalesce(bool_or(status = 'held' AND created_at >= $quarter AND cause = 'reactivation'), false) AS is_held,
        coalesce(bool_or(status = 'done' AND done_at > $cooling AND done_at <= $as_of AND cause = 'reactivation'), false)
            AS is_cooling
    FROM reminders
    WHERE created_at <= $as_of
    GROUP BY client_id
),
judged AS (
    SELECT
        l.*,
        l.average_check * l.purchases / (l.days_since_last + l.segment_days) AS worth,
        coalesce(r.is_planned, false) AS is_planned,
        coalesce(r.is_held, false) AS is_held,
        CASE
            WHEN $band IS NULL AND l.band = $lost THEN 'lost'
            WHEN date_diff('day', CAST(w.touched_at AT TIME ZONE 'UTC' AT TIME ZONE $zone AS DATE), $today) <= l.segment_days
                THEN 'deal'
            WHEN r.is_taken_care_of THEN 'reminder'
            WHEN r.is_cooling THEN 'cool-down'
        END AS left_out
    FROM late l
    LEFT JOIN worked_on w ON w.client_id = l.client_id
    LEFT JOIN reminded r ON r.client_id = l.client_id
),
due AS (
    SELECT
        client_id,
        last_sale_on,
        days_since_last,
        round(period_days, 1) AS period_days,
        round(times_period, 2) AS times_period,
        band,
        purchases,
        CAST(average_check AS DECIMAL(18, 2)) AS average_check,
        round(worth, 2) AS priority,
        segment,
        round(segment_days, 1) AS segment_days,
        basis,
        owner_id,
        is_planned,
        is_held,
        worth,
        left_out,
        count(*) OVER () AS total
    FROM judged
    WHERE left_out IS NULL
    ORDER BY worth DESC, client_id
    LIMIT $limit
),
aside AS (
    SELECT left_out, count(*) AS total
    FROM judged
    WHERE left_out IS NOT NULL
    GROUP BY left_out
)
SELECT *
FROM (FROM due UNION ALL BY NAME FROM aside)
ORDER BY client_id IS NULL, worth DESC, client_id
