"""What Alembic runs; `upgrade` brings the connection, so there is no alembic.ini."""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"],
    version_table=given["version_table"],
    on_version_apply=given["on_version_apply"],
)
context.run_migrations()
