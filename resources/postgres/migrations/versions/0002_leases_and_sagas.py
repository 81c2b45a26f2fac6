"""Who works on a campaign, fenced by a number; the undo of a run's steps, in order and with its tries."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE campaign_leases (
        campaign_id uuid PRIMARY KEY,
        run_id text NOT NULL,
        fence bigint NOT NULL,
        taken_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    ALTER TABLE saga_steps
        ADD COLUMN agent text NOT NULL,
        ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY,
        ADD COLUMN attempts smallint NOT NULL DEFAULT 0,
        ADD CONSTRAINT saga_steps_attempts_check CHECK (attempts >= 0),
        DROP CONSTRAINT saga_steps_state_check,
        ADD CONSTRAINT saga_steps_state_check
            CHECK (state IN ('done', 'kept', 'compensating', 'compensated', 'failed'))
    """,
    """
    CREATE INDEX saga_steps_open_idx ON saga_steps (run_id)
        WHERE state IN ('done', 'compensating', 'failed')
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
