"""What was spent, as sums that need no walk over the ledger: by campaign and provider, kept by triggers.

Writers take them last, after budgets and calls, and in one order, so that nobody waits for ever. An intent
costs nothing yet: only outcomes move them. Rows that are deleted stay counted, for they were paid. What is
reserved for calls in flight is read from these calls, which an index of their own finds.
"""

from alembic import op

revision = "0017"
down_revision = "0013"
branch_labels = None
depends_on = None

NOBODY = "'00000000-0000-0000-0000-000000000000'::uuid"  # of calls without a campaign

TABLE = """
CREATE TABLE provider_spend (
    campaign_id uuid,
    provider text,
    cost_usd numeric(18,6) NOT NULL DEFAULT 0,
    unknown_usd numeric(18,6) NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, provider)
) WITH (fillfactor = 50)
"""


def summing(name: str, moves: str) -> str:
    """A trigger's function; `moves` are the amounts by which its statement changed the calls."""
    return f"""
    CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO provider_spend AS s (campaign_id, provider, cost_usd, unknown_usd)
        SELECT coalesce(campaign_id, {NOBODY}) AS campaign, provider, sum(cost), sum(unknown)
        FROM ({moves}) AS moves
        GROUP BY 1, 2 HAVING sum(cost) <> 0 OR sum(unknown) <> 0
        ORDER BY 1, 2
        ON CONFLICT (campaign_id, provider) DO UPDATE
        SET cost_usd = s.cost_usd + excluded.cost_usd, unknown_usd = s.unknown_usd + excluded.unknown_usd;
        RETURN NULL;
    END $$
    """  # noqa: S608 - made of constants of the code; every value is bound


_MOVES = "SELECT campaign_id, provider, {sign}cost_usd AS cost, {sign}unknown_usd AS unknown FROM {calls}"
_NEW = _MOVES.format(sign="", calls="new_calls")
_OLD = _MOVES.format(sign="-", calls="old_calls")

TRIGGERS = (
    summing("phase3_sum_new_calls", _NEW),
    summing("phase3_sum_changed_calls", f"{_NEW} UNION ALL {_OLD}"),
    """
    CREATE TRIGGER provider_calls_sum_new AFTER INSERT ON provider_calls
        REFERENCING NEW TABLE AS new_calls
        FOR EACH STATEMENT EXECUTE FUNCTION phase3_sum_new_calls()
    """,
    """
    CREATE TRIGGER provider_calls_sum_changed AFTER UPDATE ON provider_calls
        REFERENCING OLD TABLE AS old_calls NEW TABLE AS new_calls
        FOR EACH STATEMENT EXECUTE FUNCTION phase3_sum_changed_calls()
    """,
)

SUMS = f"""
INSERT INTO provider_spend
SELECT coalesce(campaign_id, {NOBODY}), provider, sum(cost_usd), sum(unknown_usd)
FROM provider_calls GROUP BY 1, 2
"""  # noqa: S608 - made of constants of the code; every value is bound

IN_FLIGHT = """
CREATE INDEX provider_calls_in_flight_idx ON provider_calls (provider) WHERE state = 'intent'
"""


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (TABLE, *TRIGGERS, SUMS, IN_FLIGHT):
        connection.exec_driver_sql(statement)
