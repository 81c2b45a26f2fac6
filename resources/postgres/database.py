"""The connection to PostgreSQL: reaching it, upgrading it, holding a campaign for one run."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import DuplicateTable
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from phase3_core.errors import BadInput, CampaignBusy, OutsideFailure
from phase3_core.ports import Run
from resources.postgres.approvals import PostgresApprovals
from resources.postgres.campaigns import Actor, PostgresCampaigns
from resources.postgres.checkpoints import PostgresCheckpoints
from resources.postgres.leads import PostgresLeads

VERSION_TABLE = "phase3_alembic_version"
COMMAND_LINE = Actor("phase3", "system")
_EXAMPLE = "write it as postgresql://user:password@host:5432/database"
_LONGEST_NAME = 63  # PostgreSQL cuts application names here
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_PLAIN = json.JSONEncoder(default=str, ensure_ascii=False)
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
# Of a campaign that has just come in the planner knows nothing: it would sort all of it for every page.
_KNOW_THE_LEADS = text("ANALYZE (SKIP_LOCKED) leads")
_IS_HELD = text("""
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32) | objid::bigint = :key
""")


@dataclass(frozen=True, slots=True)
class PostgresBooks:
    """The repositories of one database; `engine` belongs to the event loop that opened it."""

    leads: PostgresLeads
    campaigns: PostgresCampaigns
    checkpoints: PostgresCheckpoints
    approvals: PostgresApprovals
    engine: AsyncEngine

    async def is_held(self, campaign_id: UUID) -> bool:
        """Whether a live run works on the campaign."""
        async with self.engine.connect() as connection:
            return bool(await connection.scalar(_IS_HELD, {"key": campaign_lock(campaign_id)}))


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """Only settings: every `open` makes its own connections, in the event loop of whoever opens."""

    url: str
    pool_size: int = 5  # one of them holds the campaign
    max_overflow: int = 2

    @asynccontextmanager
    async def open(self, run: Run) -> AsyncIterator[PostgresBooks]:
        async with self._engine(f"phase3:{run.agent}") as engine, _held(engine, run.campaign_id) as holder:
            await holder.execute(_KNOW_THE_LEADS)
            yield _books(engine, Actor(run.agent, "agent"))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[PostgresBooks]:
        """For the command line: beside whatever run holds the campaign."""
        async with self._engine("phase3") as engine:
            yield _books(engine, COMMAND_LINE)

    @asynccontextmanager
    async def _engine(self, application: str) -> AsyncIterator[AsyncEngine]:
        url = driver_url(self.url)
        engine = create_async_engine(
            url,
            pool_size=self.pool_size,
            max_overflow=self.max_overflow,
            connect_args=_connect_args(url, application),
            json_serializer=json_text,
        )
        try:
            with _told_plainly(url):
                async with engine.connect() as connection:
                    await connection.run_sync(_check_current)
                yield engine
        finally:
            await engine.dispose()


def _books(engine: AsyncEngine, actor: Actor) -> PostgresBooks:
    return PostgresBooks(
        leads=PostgresLeads(engine),
        campaigns=PostgresCampaigns(engine, actor),
        checkpoints=PostgresCheckpoints(engine),
        approvals=PostgresApprovals(engine),
        engine=engine,
    )


def campaign_lock(campaign_id: UUID) -> int:
    """The advisory lock that a run holds for as long as it lives; a dead run's lock is free."""
    return _lock_key(b"campaign:" + campaign_id.bytes)


def _lock_key(name: bytes) -> int:
    """From the name alone: `hash()` differs from process to process."""
    return int.from_bytes(blake2b(b"phase3:" + name, digest_size=8).digest(), signed=True)


@asynccontextmanager
async def _held(engine: AsyncEngine, campaign_id: UUID) -> AsyncIterator[AsyncConnection]:
    """On a connection of its own, outside any transaction: one that lasts hours stops vacuum."""
    key = campaign_lock(campaign_id)
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        if not await connection.scalar(select(func.pg_try_advisory_lock(key))):
            raise CampaignBusy(str(campaign_id))
        try:
            yield connection
        finally:
            await _let_go(connection, key)


async def _let_go(connection: AsyncConnection, key: int) -> None:
    """Said aloud: the next run need not wait until the server notices a closed connection."""
    with suppress(OperationalError, InterfaceError):
        await connection.execute(select(func.pg_advisory_unlock(key)))


def driver_url(url: str) -> URL:
    """The same place for our driver; `postgres://` and unix sockets (`?host=/dir`) are welcome."""
    try:
        place = make_url(url)
    except (ArgumentError, ValueError):
        raise BadInput(f"DATABASE_URL is not a database address; {_EXAMPLE}") from None
    if place.get_backend_name() not in {"postgresql", "postgres"}:
        raise BadInput(f"DATABASE_URL names {place.get_backend_name()}, not PostgreSQL; {_EXAMPLE}")
    return place.set(drivername="postgresql+psycopg")


def _connect_args(url: URL, application: str) -> dict[str, Any]:
    """Whatever the URL says for itself stands."""
    ours = {**_PATIENCE, "application_name": application[:_LONGEST_NAME]}
    options = " ".join(filter(None, (str(url.query.get("options", "")), "-c timezone=UTC")))
    return {name: value for name, value in ours.items() if name not in url.query} | {"options": options}


def json_text(value: Any) -> str:
    """JSON as PostgreSQL takes it: exact amounts as text, without what vendors send and jsonb refuses."""
    written = _PLAIN.encode(value)
    if "\\u0000" in written:
        written = _NUL.sub(r"\1", written)
    return written if written.isascii() else written.encode("utf-8", "replace").decode()


@contextmanager
def _told_plainly(url: URL) -> Iterator[None]:
    """A server that is gone, now or later in the run, is one line for the user, without the password."""
    host = url.query.get("host") or url.host or "localhost"
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        why = str(error.orig).strip().partition("\n")[0]
        raise OutsideFailure(
            f"Database {url.database!r} at {host}: {why}. "
            "Check DATABASE_URL and that the server is up; a run goes on where it stopped."
        ) from error


def upgrade(url: str) -> list[str]:
    """The revisions applied: all in one transaction; of two upgrades at once the second has nothing to do."""
    place = driver_url(url)
    with _told_plainly(place), _names_free(), _brief(place).begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(_lock_key(b"upgrade"))))
        return _apply(connection)


def _apply(connection: Connection) -> list[str]:
    applied: list[str] = []
    config = _migrations()
    config.attributes.update(
        connection=connection,
        version_table=VERSION_TABLE,
        on_version_apply=lambda step, **_: applied.append(step.up_revision_id),
    )
    command.upgrade(config, "head")
    return applied


def require_current(url: str) -> None:
    """Raises BadInput, with the command to run, where the tables are not those of this program."""
    place = driver_url(url)
    with _told_plainly(place), _brief(place).connect() as connection:
        _check_current(connection)


def _check_current(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    there, known = set(context.get_current_heads()), _revisions()
    if not there <= set(known):
        raise BadInput("This database belongs to a newer phase3: upgrade the program, not the database.")
    if there != {known[0]}:
        raise BadInput("The tables of phase 3 are missing or old: run `phase3 db upgrade`.")


@cache
def _revisions() -> tuple[str, ...]:
    """Newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_migrations()).walk_revisions())


def _migrations() -> Config:
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config


def _brief(url: URL) -> Engine:
    return create_engine(url, poolclass=NullPool, connect_args=_connect_args(url, "phase3 db"))


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
