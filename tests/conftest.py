"""A real PostgreSQL for every test that asks for one; each test gets a database of its own.

PHASE3_TEST_DATABASE_URL names a server to use; otherwise each pytest process starts one,
which goes with it.
"""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, NullPool, Pool, QueuePool, create_engine, func, insert, select, text
from sqlalchemy.exc import ProgrammingError

from resources.postgres import tables
from resources.postgres.database import driver_url
from resources.postgres.embedded.server import running
from resources.postgres.lease import campaign_lock
from resources.postgres.upgrade import upgrade
from tests.caretaker import cared_for

HERE = Path(__file__).parent
NOT_MEASURED = [HERE / "sandbox", HERE / "stage"]  # none of ours; campaigns of what has tests of its own
MEASURED = "COVERAGE_PROCESS_CONFIG"  # what makes a process that we start measure itself, too
NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
USUAL_LEAD = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "company_name": "Acme",
    "company_domain": "acme.com",
    "lead_score": 50,
    "lead_tier": "B",
}


@dataclass(frozen=True, slots=True)
class Made:
    """A campaign in the database, with the ids of its leads in the order given."""

    id: UUID
    leads: tuple[UUID, ...]


class MakeCampaign(Protocol):
    """`leads` are columns of leads, `columns` those of the campaign; the usual ones are filled in."""

    def __call__(self, leads: Sequence[Mapping[str, Any]] = (), **columns: Any) -> Made: ...


@dataclass(frozen=True, slots=True)
class Server:
    """Makes and drops databases; a copy of the template takes a few hundredths of a second."""

    url: str

    def run(self, statement: str) -> None:
        engine = engine_of(self.url, QueuePool, pool_pre_ping=True, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))

    def database(self, name: str) -> str:
        return driver_url(self.url).set(database=name).render_as_string(hide_password=False)

    def make(self, name: str, template: str = "template1") -> str:
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.database(name)

    def make_encoded(self, name: str, encoding: str) -> str:
        self.run(f"CREATE DATABASE \"{name}\" ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        return self.database(name)

    def drop(self, name: str, tries: int = 50) -> None:
        """Tried again: a vacuum worker is the server's own, and not ours to send away by force."""
        try:
            self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        except ProgrammingError:
            if not tries:
                raise
            time.sleep(0.1)
            self.drop(name, tries - 1)


# A busy machine is slow, which is no fault of what is tested.
settings.register_profile("in no hurry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("in no hurry")


def pytest_configure() -> None:
    """Background jobs of a shell are deaf to Ctrl-C, and so would be what the tests start and interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What has been loaded and collected stays: to look for garbage among it takes a third of a second."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Coverage is measured by the quick tests: measuring it takes nearly as long as the tests themselves."""
    with nullcontext() if counts(item) else not_measured():
        return (yield)


def counts(item: pytest.Item) -> bool:
    """A property does not: it goes the same way a hundred times."""
    unmarked = not any(item.get_closest_marker(name) for name in ("slow", "hypothesis"))
    return unmarked and item.path.parent not in NOT_MEASURED


@contextmanager
def not_measured() -> Iterator[None]:
    """Neither here nor in the processes that are started meanwhile."""
    coverage = Coverage.current()
    asked = os.environ.pop(MEASURED, None)
    if coverage:
        coverage.stop()
    try:
        yield
    finally:
        if coverage:
            coverage.start()
        if asked is not None:
            os.environ[MEASURED] = asked


@lru_cache(maxsize=8)
def engine_of(url: str, pool: type[Pool] = NullPool, **settings: Any) -> Engine:
    """It keeps no connection unless told, but knows the server: a new one asks it three questions first."""
    return create_engine(driver_url(url), poolclass=pool, **settings)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    if url := os.environ.get("PHASE3_TEST_DATABASE_URL"):
        yield Server(url)
        return
    with cared_for("phase3-tests-") as folder, running(folder, durable=False) as embedded:
        yield Server(embedded.uri)


@pytest.fixture(scope="session")
def template(postgres: Server) -> Iterator[str]:
    name = f"phase3_template_{uuid4().hex[:12]}"
    upgrade(postgres.make(name))
    yield name
    postgres.drop(name)


@pytest.fixture
def database_url(postgres: Server, template: str) -> Iterator[str]:
    """A migrated database that nobody else uses."""
    name = f"phase3_test_{uuid4().hex[:12]}"
    yield postgres.make(name, template)
    postgres.drop(name)


@pytest.fixture
def empty_database_url(postgres: Server) -> Iterator[str]:
    """A database without any table."""
    name = f"phase3_test_{uuid4().hex[:12]}"
    yield postgres.make(name)
    postgres.drop(name)


@pytest.fixture
def query(database_url: str) -> Callable[..., list[dict[str, Any]]]:
    """Runs one statement as whoever looks from outside would, and gives the rows back."""

    def run(statement: str, **values: Any) -> list[dict[str, Any]]:
        with engine_of(database_url).begin() as connection:
            result = connection.execute(text(statement), values)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    return run


@pytest.fixture
def book_call(query: Callable[..., list[dict[str, Any]]]) -> Callable[..., None]:
    """A call in the ledger, as if it had been made."""

    def book(campaign_id: UUID, lead_id: UUID | None = None, **columns: Any) -> None:
        usual = {
            "key": uuid4().bytes,
            "provider": "tomba",
            "operation": "find",
            "request": "{}",
            "state": "settled",
            "outcome": "hit",
            "agent": "email_verification",
            "campaign_id": campaign_id,
            "lead_id": lead_id,
            "day": datetime.now(UTC).date(),
        }
        row = {**usual, **columns}
        names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        query(f"INSERT INTO provider_calls ({names}) VALUES ({values})", **row)

    return book


@contextmanager
def at_work(database_url: str, campaign_id: UUID) -> Iterator[None]:
    """A run that holds the campaign, for all that others see."""
    with engine_of(database_url).connect() as line:
        line.execute(select(func.pg_advisory_lock(campaign_lock(campaign_id))))
        yield


@pytest.fixture
def make_campaign(database_url: str) -> MakeCampaign:
    def make(leads: Sequence[Mapping[str, Any]] = (), **columns: Any) -> Made:
        made = Made(columns.get("id") or uuid4(), tuple(lead.get("id") or uuid4() for lead in leads))
        usual = {"id": made.id, "name": "Autumn", "status": "import_complete", "import_completed_at": NOW}
        with engine_of(database_url).begin() as connection:
            connection.execute(insert(tables.campaigns).values({**usual, **columns}))
            if leads:
                connection.execute(insert(tables.leads), _rows(made, leads))
        return made

    return make


def _rows(made: Made, people: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All with the same columns, as one statement wants them."""
    columns = set(USUAL_LEAD).union(*people) - {"id", "campaign_id"}
    filled = [{**dict.fromkeys(columns), **USUAL_LEAD, **person} for person in people]
    return [
        {**row, "id": lead_id, "campaign_id": made.id}
        for lead_id, row in zip(made.leads, filled, strict=True)
    ]
