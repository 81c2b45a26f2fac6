"""The connection to PostgreSQL: reaching it, holding a campaign for one run."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction
from sqlalchemy import URL, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from phase3_core.errors import BadInput, OutsideFailure
from phase3_core.forgetting import Pseudonyms
from phase3_core.runs import Run
from resources.forget_key import pseudonyms
from resources.postgres.approvals import PostgresApprovals
from resources.postgres.audit import Actor
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.campaigns import PostgresCampaigns
from resources.postgres.checkpoints import PostgresCheckpoints
from resources.postgres.events import PostgresEvents
from resources.postgres.jsonb import json_text
from resources.postgres.leads import PostgresLeads
from resources.postgres.lease import LOOK_EVERY_S, Begin, Sighting, at_work, leased, sighting
from resources.postgres.outage import LONGEST_S, Outage
from resources.postgres.outbox import PostgresOutbox
from resources.postgres.saga import PostgresSaga
from resources.postgres.schema import check_current
from resources.postgres.track_record import PostgresTrackRecord

COMMAND_LINE = Actor("phase3", "system")
LONGEST_LOOK_S = 30.0  # for who opens, or only reads: a server that restarts is back by then
_EXAMPLE = "write it as postgresql://user:password@host:5432/database"
_LONGEST_NAME = 63  # PostgreSQL cuts application names here
# Whatever the database's: of one that has none the driver would tell bytes.
_ENCODING = {"client_encoding": "utf8"}
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# The server must notice as well, and let go of what a machine that vanished had locked.
_SERVER_PATIENCE = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "idle_in_transaction_session_timeout": "60s",
}
# Of a campaign that has just come in the planner knows nothing: it would sort all of it for every page.
_KNOW_THE_LEADS = text("ANALYZE (SKIP_LOCKED) leads")


@dataclass(frozen=True, slots=True)
class PostgresBooks:
    """The repositories of one database; `engine` belongs to the event loop that opened it.

    `begin` opens a transaction that may write; for a run it proves the `fence`, which is None for others.
    """

    leads: PostgresLeads
    campaigns: PostgresCampaigns
    checkpoints: PostgresCheckpoints
    approvals: PostgresApprovals
    budgets: PostgresBudgets
    outbox: PostgresOutbox
    events: PostgresEvents
    saga: PostgresSaga
    track_record: PostgresTrackRecord
    engine: AsyncEngine
    begin: Begin
    fence: int | None
    outage: Outage

    async def sighting(self, campaign_id: UUID) -> Sighting:
        """Which run took the campaign last, and whether it is alive."""
        async with self.engine.connect() as connection:
            return await sighting(connection, campaign_id)

    async def at_work(self) -> set[UUID]:
        """Campaigns whose runs are alive."""
        async with self.engine.connect() as connection:
            return await at_work(connection)


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """Only settings: every `open` makes its own connections, in the event loop of whoever opens."""

    url: str = field(repr=False)
    pool_size: int = 5  # one of them holds the campaign
    max_overflow: int = 2
    look_every_s: float = LOOK_EVERY_S
    longest_outage_s: float = LONGEST_S  # 0: a server that does not answer is told of at once
    known: Pseudonyms = field(default_factory=pseudonyms)

    @asynccontextmanager
    async def open(self, run: Run) -> AsyncIterator[PostgresBooks]:
        outage = Outage(self.longest_outage_s)
        async with (
            self._engine(f"phase3:{run.agent}") as engine,
            leased(engine, run, outage, self.look_every_s) as lease,
        ):
            await outage.outlast(lambda: _know_the_leads(engine))
            yield _books(engine, lease.writing, Actor(run.agent, "agent"), outage, self.known, lease.fence)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[PostgresBooks]:
        """For the command line: beside whatever run holds the campaign."""
        async with self._engine("phase3") as engine:
            yield _books(engine, engine.begin, COMMAND_LINE, self._short(), self.known)

    def _short(self) -> Outage:
        return Outage(min(self.longest_outage_s, LONGEST_LOOK_S))

    @asynccontextmanager
    async def _engine(self, application: str) -> AsyncIterator[AsyncEngine]:
        url = driver_url(self.url)
        engine = create_async_engine(
            url,
            pool_size=self.pool_size,
            max_overflow=self.max_overflow,
            connect_args=_connect_args(url, application),
            json_serializer=json_text,
            hide_parameters=True,  # or an error, and with it Dagster's event log, would show leads
        )
        try:
            with told_plainly(url):
                await self._short().outlast(lambda: _require_current(engine))
                yield engine
        finally:
            await engine.dispose()


async def _require_current(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.run_sync(check_current)


async def _know_the_leads(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(_KNOW_THE_LEADS)


def _books(
    engine: AsyncEngine,
    begin: Begin,
    actor: Actor,
    outage: Outage,
    known: Pseudonyms,
    fence: int | None = None,
) -> PostgresBooks:
    return PostgresBooks(
        leads=PostgresLeads(engine, begin, outage, known),
        campaigns=PostgresCampaigns(engine, begin, outage, actor),
        checkpoints=PostgresCheckpoints(engine, begin, outage),
        approvals=PostgresApprovals(engine, begin, outage),
        budgets=PostgresBudgets(engine, outage),
        outbox=PostgresOutbox(engine),
        events=PostgresEvents(engine),
        saga=PostgresSaga(engine, begin, outage, actor),
        track_record=PostgresTrackRecord(engine, begin, outage, actor),
        engine=engine,
        begin=begin,
        fence=fence,
        outage=outage,
    )


def driver_url(url: str) -> URL:
    """The same place for our driver; `postgres://` and unix sockets (`?host=/dir`) are welcome."""
    try:
        place = make_url(url)
    except (ArgumentError, ValueError):
        raise BadInput(f"DATABASE_URL is not a database address; {_EXAMPLE}") from None
    if place.get_backend_name() not in {"postgresql", "postgres"}:
        raise BadInput(f"DATABASE_URL names {place.get_backend_name()}, not PostgreSQL; {_EXAMPLE}")
    if "@" in (place.host or ""):  # what stands before it is part of the password, and must not be shown
        raise BadInput("The password in DATABASE_URL has an @ in it; write it as %40.")
    return place.set(drivername="postgresql+psycopg")


def _connect_args(url: URL, application: str) -> dict[str, Any]:
    """Whatever the URL says for itself stands."""
    ours = {**_PATIENCE, **_ENCODING, "application_name": application[:_LONGEST_NAME]}
    settings = (f"-c {name}={value}" for name, value in _SERVER_PATIENCE.items())
    theirs = str(url.query.get("options", ""))
    options = " ".join(filter(None, (*settings, theirs, "-c timezone=UTC")))
    return {name: value for name, value in ours.items() if name not in url.query} | {"options": options}


@contextmanager
def told_plainly(url: URL) -> Iterator[None]:
    """A server that is gone, now or later in the run, or takes no writing is one line for the user.

    Without the password.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        todo = "Check DATABASE_URL and that the server is up; a run goes on where it stopped."
        raise _told(url, error, todo) from error
    except (InternalError, ProgrammingError) as error:
        if not isinstance(error.orig, ReadOnlySqlTransaction | InsufficientPrivilege):
            raise
        todo = "Name a server that takes writing in DATABASE_URL, and a role that may (docs/roles.sql)."
        raise _told(url, error, todo) from error


def _told(url: URL, error: DBAPIError, todo: str) -> OutsideFailure:
    host = url.query.get("host") or url.host or "localhost"
    why = str(error.orig).strip().partition("\n")[0]
    return OutsideFailure(f"Database {url.database!r} at {host}: {why}. {todo}")


def require_current(url: str) -> None:
    """Raises BadInput, with the command to run, where the tables are not those of this program."""
    place = driver_url(url)
    with told_plainly(place), brief(place).connect() as connection:
        check_current(connection)


def brief(url: URL) -> Engine:
    return create_engine(
        url, poolclass=NullPool, connect_args=_connect_args(url, "phase3 db"), hide_parameters=True
    )
