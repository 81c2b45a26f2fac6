"""Circuit breakers shared by all runs, and what vendors' accounts held at moments that the ledger knows.

The index on `provider_calls.created_at` is a BRIN: rows are appended in that order, so it costs next to
nothing to keep, and a run that starts finds the newest calls without reading all of them.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BREAKERS = """
CREATE TABLE breakers (
    provider text PRIMARY KEY,
    state text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open', 'half_open')),
    why text,
    open_until timestamptz,
    in_a_row integer NOT NULL DEFAULT 0 CHECK (in_a_row >= 0),
    reopened integer NOT NULL DEFAULT 0 CHECK (reopened >= 0),
    answered integer NOT NULL DEFAULT 0 CHECK (answered >= 0),
    calls jsonb NOT NULL DEFAULT '[]',
    probes jsonb NOT NULL DEFAULT '[]',
    out_of_credits_since timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT breakers_until_check CHECK (state <> 'open' OR open_until IS NOT NULL)
)
"""


def upgrade() -> None:
    op.execute(BREAKERS)
    op.execute("CREATE INDEX provider_calls_created_at_idx ON provider_calls USING brin (created_at)")
