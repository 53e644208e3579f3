-- Which clients who never bought are overdue: past the day by which they meant to buy, or not touched for their cadence?
WITH touched AS (
    SELECT client_id, max(happened_at) AS touched_at
    FROM activities
    WHERE NOT voided AND happened_at <= $as_of AND (kind <> 'call' OR result = 'answered')
    GROUP BY client_id
),
taken_care_of AS (
    SELECT DISTINCT client_id
    FROM reminders
    WHERE
        created_at <= $as_of
        AND (status = 'open' OR done_at > $as_of)
        AND cause NOT IN ('cadence', 'process', 'reactivation', 'buy_by')
        AND due_at < $soon
),
leads AS (
    SELECT
        c.client_id,
        CAST(c.segment AS VARCHAR) AS segment,
        CAST(c.source AS VARCHAR) AS source,
        c.owner_id,
        c.buy_by,
        CAST(coalesce(t.touched_at, c.created_at) AT TIME ZONE 'UTC' AT TIME ZONE $zone AS DATE) AS last_touch_on,
        date_diff('day', last_touch_on, $today) AS days_since_touch,
        coalesce(c.cadence_days, own.days, other.days) AS cadence_days
    FROM clients c
    LEFT JOIN touched t ON t.client_id = c.client_id
    LEFT JOIN cadences own ON own.segment = c.segment
    LEFT JOIN cadences other ON other.segment IS NULL
    WHERE
        NOT c.archived
        AND NOT c.do_not_contact
        AND c.created_at <= $as_of
        AND ($segment IS NULL OR coalesce(c.segment, 'unknown') = $segment)
        AND c.client_id NOT IN (SELECT client_id FROM buyers($as_of, $zone))
        AND c.client_id NOT IN (FROM taken_care_of)
)
SELECT
    client_id,
    segment,
    source,
    buy_by,
    last_touch_on,
    days_since_touch,
    cadence_days,
    CASE WHEN buy_by < $today THEN 'buy-by passed' ELSE 'not touched' END AS reason,
    owner_id,
    count(*) OVER () AS total
FROM leads
WHERE buy_by < $today OR days_since_touch > cadence_days
ORDER BY reason, buy_by DESC, days_since_touch, client_id
LIMIT $limit
