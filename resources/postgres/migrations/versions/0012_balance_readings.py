"""What vendors' accounts held at moments that the ledger knows: the vendor's word against ours."""

from alembic import op

revision = "0012"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE balance_readings (
            provider text NOT NULL,
            account text NOT NULL,
            taken_at timestamptz NOT NULL,
            credits numeric NOT NULL,
            booked_usd numeric(12,6) NOT NULL,
            in_doubt_usd numeric(12,6) NOT NULL CHECK (in_doubt_usd >= 0),
            price_usd numeric(12,6) NOT NULL CHECK (price_usd >= 0),
            since timestamptz NOT NULL,
            span_taken_usd numeric(12,6) NOT NULL,
            span_booked_usd numeric(12,6) NOT NULL,
            drift_usd numeric(12,6) NOT NULL,
            agreement text NOT NULL CHECK (agreement IN ('agreed', 'case', 'parked', 'accepted')),
            PRIMARY KEY (provider, account, taken_at)
        )
    """)
