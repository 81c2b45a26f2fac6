"""People who are forgotten: what is erased says so, and the list knows them by keyed hashes alone.

`erased_at`: since then a row holds nothing about a person, and takes nothing any more: a call that was in
flight is settled without its answer. `forgotten` is a keyed hash, or a lead's id; the view reads it by the
same costly function as addresses, which leaves it as it is, so that an index answers.

The audit log stays append-only; a transaction that says so may take a person out of its details.
"""

from alembic import op

revision = "0014"
down_revision = "0017"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE provider_calls ADD COLUMN erased_at timestamptz",
    "ALTER TABLE leads ADD COLUMN erased_at timestamptz",
    "ALTER TABLE suppression_list ADD COLUMN forgotten text",
    "CREATE INDEX suppression_list_forgotten_idx ON suppression_list (phase3_mailbox(forgotten))",
    """
    DO $$
    BEGIN
        IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'suppression_list'::regclass
                   AND conname = 'suppression_list_names_someone_check') THEN
            ALTER TABLE suppression_list
                DROP CONSTRAINT suppression_list_names_someone_check,
                ADD CONSTRAINT suppression_list_names_someone_check
                    CHECK (email IS NOT NULL OR domain IS NOT NULL OR forgotten IS NOT NULL);
        END IF;
    END
    $$
    """,
    """
    CREATE OR REPLACE VIEW suppressed_subjects AS
    SELECT phase3_mailbox(email) AS subject FROM suppression_list
    UNION ALL
    SELECT phase3_listed_domain(domain) FROM suppression_list
    UNION ALL
    SELECT phase3_mailbox(forgotten) FROM suppression_list
    """,
    """
    CREATE OR REPLACE FUNCTION phase3_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND current_setting('phase3.forgetting', true) = 'on' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION USING
            MESSAGE = 'campaign_audit_log is append-only', ERRCODE = 'restrict_violation';
    END
    $$
    """,
)


def upgrade() -> None:
    """As driver SQL: a cast's colons are no parameters."""
    connection = op.get_bind()
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement)
