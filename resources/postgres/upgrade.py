"""The tables brought up to date. Apart from what commands load that only use them: Alembic is large."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from psycopg.errors import DuplicateTable
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import ProgrammingError

from phase3_core.errors import BadInput
from resources.postgres.database import brief, driver_url, told_plainly
from resources.postgres.lease import lock_key
from resources.postgres.schema import MIGRATIONS, VERSION_TABLE, is_current


def upgrade(url: str) -> list[str]:
    """The revisions applied: all in one transaction; of two upgrades at once the second has nothing to do."""
    place = driver_url(url)
    with told_plainly(place), _names_free(), brief(place).begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(lock_key(b"upgrade"))))
        return [] if is_current(connection) else _apply(connection)


def _apply(connection: Connection) -> list[str]:
    applied: list[str] = []
    config = migrations()
    config.attributes.update(
        connection=connection,
        version_table=VERSION_TABLE,
        on_version_apply=lambda step, **_: applied.append(step.up_revision_id),
    )
    command.upgrade(config, "head")
    return applied


def migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


@contextmanager
def _names_free() -> Iterator[None]:
    try:
        yield
    except ProgrammingError as error:
        if not isinstance(error.orig, DuplicateTable):
            raise
        taken = error.orig.diag.message_primary
        raise BadInput(
            f"Another program has a table under a name of ours ({taken}): rename it, "
            "or give phase 3 a database of its own."
        ) from error
