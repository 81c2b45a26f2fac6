"""What a lead cost is summed by agent: one index finds the calls, whatever the planner knows of the ledger.

With an index of leads and another of agents, a server that had not looked at a new ledger yet walked through
all calls of the agent for each lead.
"""

from alembic import op

revision = "0018"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX provider_calls_lead_id_agent_idx ON provider_calls (lead_id, agent)")
    op.execute("DROP INDEX provider_calls_lead_id_idx")
