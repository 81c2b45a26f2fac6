"""Vendors' rate limits, shared by every run on every machine."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE rate_limits (
        name text PRIMARY KEY,
        next_at timestamptz NOT NULL DEFAULT now(),
        rests_until timestamptz NOT NULL DEFAULT 'epoch',
        strain double precision NOT NULL DEFAULT 1,
        strained_at timestamptz NOT NULL DEFAULT 'epoch',
        day date NOT NULL DEFAULT 'epoch',
        used_today integer NOT NULL DEFAULT 0,
        CONSTRAINT rate_limits_strain_check CHECK (strain >= 1),
        CONSTRAINT rate_limits_used_today_check CHECK (used_today >= 0)
    )
    """,
    """
    CREATE TABLE rate_limit_places (
        name text NOT NULL,
        process uuid NOT NULL,
        held integer NOT NULL,
        need integer NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT now(),
        seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (name, process),
        CONSTRAINT rate_limit_places_held_check CHECK (held >= 0),
        CONSTRAINT rate_limit_places_need_check CHECK (need >= 0)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
