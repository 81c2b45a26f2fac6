"""Budgets, and the trigger that books every move of money in `provider_calls` on those concerned.

A budget names what it caps by the columns that are not null: an agent of a campaign, a tier of a campaign,
a provider's UTC day. Without any budget the triggers return at once.

Whoever writes calls locks the budgets first, then the calls: `phase3_hold_budgets` is for those who change
calls that are there already.
"""

from alembic import op

revision = "0004"
down_revision = "0008"
branch_labels = None
depends_on = None

CALLS = (
    """
    ALTER TABLE provider_calls
        ADD COLUMN tier text CHECK (tier IN ('A', 'B', 'C')),
        ADD COLUMN day date
    """,
    """
    UPDATE provider_calls AS c SET day = (c.created_at AT TIME ZONE 'UTC')::date,
        tier = (SELECT phase3_tier(l.lead_tier) FROM leads AS l WHERE l.id = c.lead_id)
    """,
    "CREATE INDEX ON provider_calls (provider, day)",
)

BUDGETS = (
    """
    CREATE TABLE budgets (
        scope text PRIMARY KEY,
        campaign_id uuid,
        agent text,
        tier text CHECK (tier IN ('A', 'B', 'C')),
        provider text,
        day date,
        cap_usd numeric(12,6) NOT NULL CHECK (cap_usd >= 0),
        spent_usd numeric(12,6) NOT NULL DEFAULT 0,
        reserved_usd numeric(12,6) NOT NULL DEFAULT 0,
        alerted_at timestamptz,
        refused_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT budgets_of_check CHECK ((campaign_id IS NULL) = (provider IS NOT NULL AND day IS NOT NULL))
    )
    """,
    "CREATE INDEX ON budgets (campaign_id)",
    "CREATE INDEX ON budgets (provider, day)",
    "ALTER TABLE campaigns ADD COLUMN IF NOT EXISTS budgets jsonb",
)

HOLD = """
CREATE FUNCTION phase3_hold_budgets(calls bytea[]) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM budgets) THEN
        RETURN 0;
    END IF;
    PERFORM FROM budgets WHERE scope IN (
        SELECT b.scope FROM provider_calls AS c
        JOIN budgets AS b ON b.campaign_id = c.campaign_id AND coalesce(b.agent = c.agent, b.agent IS NULL)
            AND coalesce(b.tier = c.tier, b.tier IS NULL)
        WHERE c.key = ANY (calls)
        UNION ALL
        SELECT b.scope FROM provider_calls AS c JOIN budgets AS b ON b.provider = c.provider AND b.day = c.day
        WHERE c.key = ANY (calls))
    ORDER BY scope FOR UPDATE;
    RETURN 1;
END $$
"""

_AMOUNTS = """
    SELECT campaign_id, agent, tier, provider, day, {sign}(cost_usd + unknown_usd) AS spent,
           {sign}(CASE WHEN state = 'intent' THEN reserved_usd ELSE 0 END) AS reserved
    FROM {calls}
"""


def booking(name: str, moves: str) -> str:
    """A trigger's function; `moves` are the amounts by which its statement changed the calls."""
    return f"""
    CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT EXISTS (SELECT FROM budgets) THEN
            RETURN NULL;
        END IF;
        WITH moved AS MATERIALIZED (
            SELECT campaign_id, agent, tier, provider, day, sum(spent) AS spent, sum(reserved) AS reserved
            FROM ({moves}) AS moves
            GROUP BY 1, 2, 3, 4, 5 HAVING sum(spent) <> 0 OR sum(reserved) <> 0
        ), concerned AS (
            SELECT b.scope, m.spent, m.reserved FROM moved AS m
            JOIN budgets AS b ON b.campaign_id = m.campaign_id
                AND coalesce(b.agent = m.agent, b.agent IS NULL)
                AND coalesce(b.tier = m.tier, b.tier IS NULL)
            UNION ALL
            SELECT b.scope, m.spent, m.reserved FROM moved AS m
            JOIN budgets AS b ON b.provider = m.provider AND b.day = m.day
        ), due AS MATERIALIZED (
            SELECT scope, sum(spent) AS spent, sum(reserved) AS reserved FROM concerned GROUP BY scope
        ), held AS MATERIALIZED (
            SELECT scope FROM budgets WHERE scope IN (SELECT scope FROM due) ORDER BY scope FOR UPDATE
        )
        UPDATE budgets AS b
        SET spent_usd = b.spent_usd + due.spent, reserved_usd = b.reserved_usd + due.reserved,
            updated_at = now()
        FROM due JOIN held USING (scope) WHERE b.scope = due.scope;
        RETURN NULL;
    END $$
    """  # noqa: S608 - made of constants of the code; every value is bound


_NEW = _AMOUNTS.format(sign="", calls="new_calls")
_OLD = _AMOUNTS.format(sign="-", calls="old_calls")

TRIGGERS = (
    booking("phase3_book_new_calls", _NEW),
    booking("phase3_book_changed_calls", f"{_NEW} UNION ALL {_OLD}"),
    """
    CREATE TRIGGER provider_calls_book_new AFTER INSERT ON provider_calls
        REFERENCING NEW TABLE AS new_calls
        FOR EACH STATEMENT EXECUTE FUNCTION phase3_book_new_calls()
    """,
    """
    CREATE TRIGGER provider_calls_book_changed AFTER UPDATE ON provider_calls
        REFERENCING OLD TABLE AS old_calls NEW TABLE AS new_calls
        FOR EACH STATEMENT EXECUTE FUNCTION phase3_book_changed_calls()
    """,
)


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (*CALLS, *BUDGETS, HOLD, *TRIGGERS):
        connection.exec_driver_sql(statement)
