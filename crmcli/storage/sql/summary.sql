-- What are the standard figures of each of some periods?
WITH documents AS (
    SELECT
        s.sale_id,
        s.client_id,
        s.sold_at,
        s.amount,
        coalesce(original.sold_at, s.sold_at) AS counts_at
    FROM sales s
    LEFT JOIN sales original ON original.sale_id = s.refund_of
    WHERE NOT s.voided AND s.sold_at <= $as_of
),
occasions AS (
    SELECT
        client_id,
        CAST(counts_at AT TIME ZONE 'UTC' AT TIME ZONE $zone AS DATE) AS sold_on,
        min(counts_at) AS sold_at
    FROM documents
    GROUP BY client_id, sold_on
    HAVING sum(amount) > 0
),
first_occasions AS (
    SELECT client_id, min(sold_at) AS sold_at FROM occasions GROUP BY client_id
),
selling AS (
    SELECT
        p.period,
        count(*) FILTER (d.amount > 0) AS sales,
        sum(d.amount) AS volume,
        sum(d.amount) FILTER (d.amount > 0) AS gross,
        count(DISTINCT d.client_id) FILTER (d.amount > 0) AS clients
    FROM periods p
    JOIN documents d ON (p.from_at IS NULL OR d.sold_at >= p.from_at) AND (p.to_at IS NULL OR d.sold_at < p.to_at)
    GROUP BY p.period
),
newcomers AS (
    SELECT p.period, count(*) AS new_clients
    FROM periods p
    JOIN first_occasions f ON (p.from_at IS NULL OR f.sold_at >= p.from_at) AND (p.to_at IS NULL OR f.sold_at < p.to_at)
    GROUP BY p.period
),
calling AS (
    SELECT
        p.period,
        count(*) FILTER (a.direction = 'in') AS incoming_calls,
        count(*) FILTER (a.direction = 'out') AS outgoing_calls
    FROM periods p
    JOIN activities a
        ON (p.from_at IS NULL OR a.happened_at >= p.from_at) AND (p.to_at IS NULL OR a.happened_at < p.to_at)
    WHERE a.kind = 'call' AND NOT a.voided AND a.happened_at <= $as_of
    GROUP BY p.period
),
cohort AS (
    SELECT deal_id, opened_at FROM deals
),
steps AS MATERIALIZED (
    SELECT * FROM stops('cohort', $as_of)
),
states AS (
    SELECT deal_id, place, changed_at FROM in_chain('steps') WHERE is_last
),
closing AS (
    SELECT
        p.period,
        count(*) FILTER (s.place = -2) AS won,
        count(*) FILTER (s.place = -1) AS lost
    FROM periods p
    JOIN states s
        ON (p.from_at IS NULL OR s.changed_at >= p.from_at) AND (p.to_at IS NULL OR s.changed_at < p.to_at)
    WHERE s.place < 0
    GROUP BY p.period
),
opening AS (
    SELECT
        p.period,
        count(*) AS opened,
        count(*) FILTER (s.place = -2) AS opened_and_won
    FROM periods p
    JOIN deals d ON (p.from_at IS NULL OR d.opened_at >= p.from_at) AND (p.to_at IS NULL OR d.opened_at < p.to_at)
    JOIN states s ON s.deal_id = d.deal_id
    WHERE d.opened_at IS NULL OR d.opened_at <= $as_of
    GROUP BY p.period
)
SELECT
    p.period,
    coalesce(s.sales, 0) AS sales,
    coalesce(s.volume, 0) AS volume,
    CAST(round(s.gross / nullif(s.sales, 0), 2) AS DECIMAL(18, 2)) AS average_check,
    coalesce(s.clients, 0) AS clients,
    coalesce(n.new_clients, 0) AS new_clients,
    coalesce(c.incoming_calls, 0) AS incoming_calls,
    coalesce(c.outgoing_calls, 0) AS outgoing_calls,
    coalesce(d.won, 0) AS won,
    coalesce(d.lost, 0) AS lost,
    round(100.0 * d.won / nullif(d.won + d.lost, 0), 1) AS win_rate_closed_pct,
    round(100.0 * o.opened_and_won / nullif(o.opened, 0), 1) AS win_rate_all_pct,
    coalesce(o.opened, 0) AS opened
FROM periods p
LEFT JOIN selling s ON s.period = p.period
LEFT JOIN newcomers n ON n.period = p.period
LEFT JOIN calling c ON c.period = p.period
LEFT JOIN closing d ON d.period = p.period
LEFT JOIN opening o ON o.period = p.period
ORDER BY p.period
