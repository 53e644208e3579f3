-- Who is expected to buy until when, and how is that known?
WITH gaps AS (
    SELECT client_id, sold_on, sold_on - lag(sold_on) OVER (PARTITION BY client_id ORDER BY sold_on) AS days
    FROM buying_days($as_of, $zone)
    WHERE net > 0
),
rhythms AS (
    SELECT
        client_id,
        quantile_cont(days, 0.25) AS gap_low,
        quantile_cont(days, 0.5) AS gap_median,
        quantile_cont(days, 0.75) AS gap_high
    FROM gaps
    GROUP BY client_id
),
ends AS (
    SELECT
        g.client_id,
        max(g.sold_on)
        + CAST(floor(least(arg_max(g.quantity, g.sold_on) * any_value(p.use_up_days), $longest) + 0.5) AS INTEGER)
            AS used_up_on
    FROM goods_sold($as_of, $zone) g
    JOIN products p ON p.product_id = g.product_id
    WHERE p.use_up_days > 0
    GROUP BY g.client_id, g.product_id
),
used_up AS (
    SELECT e.client_id, min(e.used_up_on) AS used_up_on
    FROM ends e
    JOIN buyers($as_of, $zone) b ON b.client_id = e.client_id
    WHERE e.used_up_on > b.last_sale_on
    GROUP BY e.client_id
),
known AS (
    SELECT
        c.client_id,
        c.owner_id,
        c.period_days AS set_days,
        CASE WHEN b.last_sale_on IS NULL OR c.buy_by > b.last_sale_on THEN c.buy_by END AS stated_on,
        u.used_up_on,
        b.last_sale_on,
        coalesce(b.purchases, 0) AS purchases,
        b.average_check,
        coalesce(c.period_days, ($prior * n.gap_median + (b.purchases - 1) * r.gap_median) / (b.purchases - 1 + $prior))
            AS usual,
        coalesce(c.period_days, ($prior * n.gap_low + (b.purchases - 1) * r.gap_low) / (b.purchases - 1 + $prior))
            AS low,
        coalesce(c.period_days, ($prior * n.gap_high + (b.purchases - 1) * r.gap_high) / (b.purchases - 1 + $prior))
            AS high,
        n.period_days AS segment_days,
        least(n.period_low, n.period_days) AS segment_low,
        greatest(n.period_high, n.period_days) AS segment_high,
        n.basis,
        ($today - b.last_sale_on) / coalesce(
            c.period_days,
            ((b.purchases - 1) * coalesce(b.own_days, 0) + $prior * n.period_days) / (b.purchases - 1 + $prior)
        ) AS times_period
    FROM clients c
    LEFT JOIN buyers($as_of, $zone) b ON b.client_id = c.client_id
    LEFT JOIN rhythms r ON r.client_id = c.client_id
    LEFT JOIN used_up u ON u.client_id = c.client_id
    LEFT JOIN norms own ON own.segment = c.segment
    JOIN norms n ON n.segment IS NOT DISTINCT FROM own.segment
    WHERE NOT c.archived AND NOT c.do_not_contact AND c.created_at <= $as_of
),
told AS (
    SELECT
        *,
        CASE
            WHEN stated_on IS NOT NULL THEN 'stated'
            WHEN used_up_on IS NOT NULL THEN 'use-up'
            WHEN usual IS NOT NULL THEN 'rhythm'
            ELSE 'segment'
        END AS origin,
        CASE origin
            WHEN 'stated' THEN stated_on
            WHEN 'use-up' THEN used_up_on
            ELSE last_sale_on + CAST(floor(coalesce(usual, segment_days) + 0.5) AS INTEGER)
        END AS expected_on,
        origin IN ('rhythm', 'segment') AND set_days IS NULL AND basis = 'default' AS is_guess
    FROM known
    WHERE last_sale_on IS NOT NULL OR stated_on >= $today
)
SELECT
    client_id,
    expected_on,
    CASE
        WHEN origin IN ('stated', 'use-up') THEN expected_on
        WHEN NOT is_guess THEN last_sale_on + CAST(floor(coalesce(low, segment_low) + 0.5) AS INTEGER)
    END AS from_on,
    CASE
        WHEN origin IN ('stated', 'use-up') THEN expected_on
        WHEN NOT is_guess THEN last_sale_on + CAST(floor(coalesce(high, segment_high) + 0.5) AS INTEGER)
    END AS to_on,
    origin,
    origin = 'segment' OR is_guess AS is_weak,
    greatest($today - expected_on, 0) AS overdue_days,
    last_sale_on,
    purchases,
    CAST(average_check AS DECIMAL(18, 2)) AS average_check,
    basis,
    owner_id,
    origin <> 'stated' AND times_period > $lost_after AS is_lost
FROM told
WHERE expected_on <= $until
ORDER BY expected_on, average_check DESC NULLS LAST, client_id
