-- What the statements on repeat sales share: the days on which clients bought, and what each of them bought in all.
-- A refund counts against the day of the document that it refunds, or against its own where that is not known.
CREATE MACRO buying_days(until, zone) AS TABLE
WITH given_back AS (
    -- The few that are refunded are picked out first, so that no table of all sales is made to look them up in.
    SELECT sale_id, sold_at
    FROM sales
    WHERE
        NOT voided
        AND sold_at <= until
        AND sale_id IN (SELECT refund_of FROM sales WHERE refund_of IS NOT NULL)
),
documents AS (
    SELECT client_id, sold_at, amount
    FROM sales
    WHERE refund_of IS NULL AND NOT voided AND sold_at <= until
    UNION ALL
    SELECT r.client_id, coalesce(o.sold_at, r.sold_at) AS sold_at, r.amount
    FROM sales r
    LEFT JOIN given_back o ON o.sale_id = r.refund_of
    WHERE r.refund_of IS NOT NULL AND NOT r.voided AND r.sold_at <= until
)
SELECT
    client_id,
    CAST(sold_at AT TIME ZONE 'UTC' AT TIME ZONE zone AS DATE) AS sold_on,
    sum(amount) AS net,
    sum(amount) FILTER (amount > 0) AS gross,
    count(*) FILTER (amount > 0) AS sales
FROM documents
GROUP BY client_id, sold_on;

-- Clients who bought: an occasion is a day that comes to more than 0.
CREATE MACRO buyers(until, zone) AS TABLE
SELECT
    client_id,
    count(*) FILTER (net > 0) AS purchases,
    min(sold_on) FILTER (net > 0) AS first_sale_on,
    max(sold_on) FILTER (net > 0) AS last_sale_on,
    (last_sale_on - first_sale_on) / nullif(purchases - 1, 0) AS own_days,
    sum(gross) / sum(sales) AS average_check
FROM buying_days(until, zone)
GROUP BY client_id
HAVING purchases > 0;
