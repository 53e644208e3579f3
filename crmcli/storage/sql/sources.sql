-- How many of the clients first recorded in a period bought, and for how much, by the touchpoint they came from?
WITH buying AS (
    SELECT
        client_id,
        count(*) FILTER (net > 0) AS occasions,
        sum(net) AS net,
        sum(gross) AS gross,
        sum(sales) AS sales
    FROM buying_days($as_of, $zone)
    GROUP BY client_id
),
cohort AS (
    SELECT deal_id, client_id, opened_at FROM deals
),
steps AS MATERIALIZED (
    SELECT * FROM stops('cohort', $as_of)
),
winning AS (
    SELECT client_id, count(*) AS won FROM in_chain('steps') WHERE is_last AND place = -2 GROUP BY client_id
)
SELECT
    CAST(c.source AS VARCHAR) AS source,
    count(*) AS leads,
    count(*) FILTER (b.occasions > 0) AS clients,
    coalesce(sum(w.won), 0) AS won,
    coalesce(sum(b.net), 0) AS volume,
    CAST(round(sum(b.gross) / nullif(sum(b.sales), 0), 2) AS DECIMAL(18, 2)) AS average_check
FROM clients c
LEFT JOIN buying b ON b.client_id = c.client_id
LEFT JOIN winning w ON w.client_id = c.client_id
WHERE c.created_at <= $as_of AND ($from_at IS NULL OR (c.created_at >= $from_at AND c.created_at < $to_at))
GROUP BY c.source
ORDER BY leads DESC, c.source NULLS LAST
