"""The statements of budgets: made from caps, counted from the ledger, looked at."""

from sqlalchemy import text

from resources.postgres.admission import TODAY

WANTED = """
jsonb_to_recordset(CAST(:rows AS jsonb)) AS wanted (
    scope text, campaign_id uuid, agent text, tier text, provider text, day date, cap_usd numeric)
"""

ALL_THERE = text(f"""
    SELECT NOT EXISTS (SELECT FROM {WANTED} WHERE scope NOT IN (SELECT scope FROM budgets))
""")  # noqa: S608 - made of constants of the code; every value is bound

# Before any lock on a budget, as with everybody who writes calls.
NOBODY_WRITES = text("LOCK TABLE provider_calls IN SHARE MODE")

LOCK_THEM = text(f"""
    SELECT FROM budgets WHERE campaign_id = :campaign_id OR day = {TODAY} ORDER BY scope FOR UPDATE
""")

# A cap that changed has not been reached yet; one that is as it was has told so already. A provider's day is
# everybody's: while others are at work, nobody raises or ends what one of them holds to.
_CAP = """
    CASE WHEN b.day IS NOT NULL AND :others THEN least(b.cap_usd, excluded.cap_usd) ELSE excluded.cap_usd END
"""
MAKE = text(f"""
    INSERT INTO budgets AS b (scope, campaign_id, agent, tier, provider, day, cap_usd)
    SELECT scope, campaign_id, agent, tier, provider, day, cap_usd FROM {WANTED} ORDER BY scope
    ON CONFLICT (scope) DO UPDATE SET
        cap_usd = {_CAP},
        alerted_at = CASE WHEN b.cap_usd = {_CAP} THEN b.alerted_at END,
        refused_at = CASE WHEN b.cap_usd = {_CAP} THEN b.refused_at END
""")  # noqa: S608 - made of constants of the code; every value is bound

REMOVE_OTHERS = text(f"""
    DELETE FROM budgets
    WHERE (campaign_id = :campaign_id OR (day = {TODAY} AND NOT :others)) AND NOT scope = ANY (:scopes)
""")  # noqa: S608 - made of constants of the code; every value is bound

REMOVE = text("DELETE FROM budgets WHERE scope = ANY (:gone)")

_SUMS = """
    coalesce(sum(cost_usd + unknown_usd), 0) AS spent,
    coalesce(sum(reserved_usd) FILTER (WHERE state = 'intent'), 0) AS reserved
"""


def counted(budgets: str) -> str:
    """The ledger's sums for each of these `budgets` of a campaign or today, as the table `counted`."""
    return f"""
    own AS MATERIALIZED (
        SELECT agent, tier, {_SUMS} FROM provider_calls WHERE campaign_id = :campaign_id GROUP BY agent, tier
    ), counted AS (
        SELECT o.scope, coalesce(sum(own.spent), 0) AS spent, coalesce(sum(own.reserved), 0) AS reserved
        FROM {budgets} AS o LEFT JOIN own ON coalesce(own.agent = o.agent, o.agent IS NULL)
            AND coalesce(own.tier = o.tier, o.tier IS NULL)
        WHERE o.campaign_id = :campaign_id GROUP BY o.scope
        UNION ALL
        SELECT o.scope, daily.spent, daily.reserved FROM {budgets} AS o
        CROSS JOIN LATERAL (
            SELECT {_SUMS} FROM provider_calls AS c WHERE c.provider = o.provider AND c.day = o.day
        ) AS daily
        WHERE o.day = {TODAY}
    )
    """  # noqa: S608 - made of constants of the code; every value is bound


COUNT = text(f"""
    WITH {counted("budgets")}
    UPDATE budgets AS b SET spent_usd = counted.spent, reserved_usd = counted.reserved, updated_at = now()
    FROM counted
    WHERE b.scope = counted.scope AND (b.spent_usd, b.reserved_usd) <> (counted.spent, counted.reserved)
""")  # noqa: S608 - made of constants of the code; every value is bound

OF_CAMPAIGN = text(f"""
    SELECT scope, cap_usd, spent_usd, reserved_usd, agent, tier, provider, day, alerted_at, refused_at
    FROM budgets WHERE campaign_id = :campaign_id OR day = {TODAY}
    ORDER BY campaign_id IS NULL, tier IS NOT NULL, scope
""")  # noqa: S608 - made of constants of the code; every value is bound

OF_CAMPAIGNS = text("""
    SELECT campaign_id, scope, cap_usd, spent_usd, reserved_usd, agent, tier, provider, day, alerted_at,
           refused_at
    FROM budgets WHERE campaign_id IS NOT NULL ORDER BY tier IS NOT NULL, scope
""")

NEWLY_NEAR = text(f"""
    WITH near AS MATERIALIZED (
        SELECT scope AS of FROM budgets
        WHERE (alerted_at IS NULL OR alerted_at > now() - make_interval(secs => CAST(:unheard_s AS float8)))
            AND spent_usd > 0 AND spent_usd >= cap_usd * :alert_at
            AND (campaign_id = :campaign_id OR day = {TODAY})
        ORDER BY scope FOR UPDATE  -- every process locks in this order
    )
    UPDATE budgets SET alerted_at = now() FROM near WHERE scope = near.of
    RETURNING scope, cap_usd, spent_usd, reserved_usd, agent, tier, provider, day, alerted_at, refused_at
""")  # noqa: S608 - made of constants of the code; every value is bound

REFUSED = text("UPDATE budgets SET refused_at = now() WHERE scope = :scope AND refused_at IS NULL")

SET_OWN = text("""
    UPDATE campaigns SET updated_at = now(),
        budgets = nullif((coalesce(budgets, '{}') || CAST(:given AS jsonb)) - CAST(:gone AS text[]), '{}')
    WHERE id = :campaign_id
""")
