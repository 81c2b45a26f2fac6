"""What tells a repeated statement of the ledger that it was written already.

`grant_id` is the number of the statement that made the row or claimed it; `heard` are the attempts whose
outcome is booked.
"""

from alembic import op

revision = "0008"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(
        "ALTER TABLE provider_calls ADD COLUMN grant_id bigint, ADD COLUMN heard smallint[]"
    )
