"""Whether a database can hold what this program writes, and its tables are those of this program."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, String, column, select, table, text

from phase3_core.errors import BadInput

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "0022"  # the revision that no other follows; their numbers are names
VERSION_TABLE = "phase3_alembic_version"
ENCODING = "UTF8"
_FOUND = text(
    "SELECT current_setting('server_encoding') AS encoding, to_regclass(:table) IS NOT NULL AS made"
)
_THERE = select(column("version_num", String)).select_from(table(VERSION_TABLE))


def check_current(connection: Connection) -> None:
    """Raises BadInput, with what to do, where the tables are not those of this program."""
    if not is_current(connection):
        raise BadInput("The tables of phase 3 are missing or old: run `phase3 db upgrade`.")


def is_current(connection: Connection) -> bool:
    """Raises BadInput where they are newer than this program, or can never be made here."""
    there = _there(connection)
    if not there <= revisions():
        raise BadInput("This database belongs to a newer phase3: upgrade the program, not the database.")
    return there == {NEWEST}


def _there(connection: Connection) -> set[str]:
    found = connection.execute(_FOUND, {"table": VERSION_TABLE}).one()
    if found.encoding != ENCODING:
        raise BadInput(
            f"This database is encoded in {found.encoding}, and names need {ENCODING}: make another by "
            f"`CREATE DATABASE phase3 ENCODING '{ENCODING}' TEMPLATE template0`, name it in DATABASE_URL."
        )
    return set(connection.scalars(_THERE)) if found.made else set()


@cache
def revisions() -> frozenset[str]:
    """By the names of their files: to load Alembic and every migration takes longer than to look."""
    return frozenset(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
