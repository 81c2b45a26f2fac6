"""Whether the tables of a database are those of this program."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, String, column, select, table, text

from phase3_core.errors import BadInput

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "0018"  # the revision that no other follows; their numbers are names
VERSION_TABLE = "phase3_alembic_version"
_MADE = text("SELECT to_regclass(:table) IS NOT NULL")
_THERE = select(column("version_num", String)).select_from(table(VERSION_TABLE))


def check_current(connection: Connection) -> None:
    """Raises BadInput, with what to do, where the tables are not those of this program."""
    if not is_current(connection):
        raise BadInput("The tables of phase 3 are missing or old: run `phase3 db upgrade`.")


def is_current(connection: Connection) -> bool:
    """Raises BadInput where they are newer than this program."""
    there = _there(connection)
    if not there <= revisions():
        raise BadInput("This database belongs to a newer phase3: upgrade the program, not the database.")
    return there == {NEWEST}


def _there(connection: Connection) -> set[str]:
    made = connection.scalar(_MADE, {"table": VERSION_TABLE})
    return set(connection.scalars(_THERE)) if made else set()


@cache
def revisions() -> frozenset[str]:
    """By the names of their files: to load Alembic and every migration takes longer than to look."""
    return frozenset(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
