"""Everything that a campaign wrote, to be searched for what must not be in it."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, NullPool, create_engine, text

from resources.postgres.database import driver_url
from resources.providers.catalogue import CATALOGUE
from resources.providers.keys import NO_SECRETS

OF_VENDORS = sorted({name for row in CATALOGUE for name in row.spec.secrets if not name.endswith(NO_SECRETS)})
OTHERS = (
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
    "PHASE3_WEBHOOK_SECRET",
    "PHASE3_FORGET_KEY",
    "PGPASSWORD",
)
TABLES = """
SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""

Place = tuple[str, str]  # where, and what stands there


def secrets_in(environment: Mapping[str, str]) -> dict[str, str]:
    """Those that are set, by their variables; the password of the database among them."""
    named = {name: environment[name] for name in (*OF_VENDORS, *OTHERS) if environment.get(name)}
    password = urlsplit(environment.get("DATABASE_URL", "")).password
    return named | ({"the database's password": password} if password else {})


def rows_of(url: str) -> Iterator[Place]:
    """Every value of every table, Dagster's among them; what is packed is unpacked."""
    engine = create_engine(driver_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        for table in connection.execute(text(TABLES)).scalars().all():
            yield table, _words(engine, table)


def _words(engine: Engine, table: str) -> str:
    with engine.connect() as connection:
        return "\n".join(_word(value) for row in connection.execute(text(f"TABLE {table}")) for value in row)


def _word(value: Any) -> str:
    if not isinstance(value, bytes | memoryview):
        return str(value)
    raw = bytes(value)
    with suppress(zlib.error):
        raw = zlib.decompress(raw)
    return raw.decode("latin-1")


def files_below(folder: Path) -> Iterator[Place]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), "\n".join(_texts(path))


def _texts(path: Path) -> Iterator[str]:
    yield path.read_bytes().decode("latin-1")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as book:
            yield from (book.read(name).decode("latin-1") for name in book.namelist())


def arguments() -> Iterator[Place]:
    """Of every process on this machine, where it shows them."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield str(path), path.read_bytes().decode("latin-1")


def leaks(secrets: Mapping[str, str], places: Iterable[Place]) -> list[str]:
    return [
        f"{name} in {where}" for where, told in places for name, value in secrets.items() if value in told
    ]
