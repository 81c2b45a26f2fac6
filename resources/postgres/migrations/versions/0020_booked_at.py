"""When a limit's moments were booked last, by the database's clock.

A clock that is before it was set back since: what lies ahead then lay that far ahead of the last booking.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE rate_limits ADD COLUMN booked_at timestamptz NOT NULL DEFAULT now()")
