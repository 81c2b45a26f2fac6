"""What is left to erase is found by indexes of its own, however much was erased before or is young.

Calls stand in the order of their age: neither column of the index changes when a call is answered. What is
erased leaves it, so no night walks over what earlier nights erased, as with the BRIN index of that column.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

CALLS = "CREATE INDEX provider_calls_to_erase_idx ON provider_calls (created_at) WHERE erased_at IS NULL"
PEOPLE = "CREATE INDEX leads_phase3_to_erase_idx ON leads (campaign_id, id) WHERE erased_at IS NULL"


def upgrade() -> None:
    for statement in (CALLS, PEOPLE):
        op.execute(statement)
