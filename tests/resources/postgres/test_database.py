import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from phase3_core.errors import BadInput, CampaignBusy, OutsideFailure
from phase3_core.ports.books import Database
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres.database import PostgresDatabase, driver_url, require_current
from resources.postgres.jsonb import json_text
from resources.postgres.lease import campaign_lock
from resources.postgres.upgrade import upgrade
from tests.conftest import Server

Query = Callable[..., list[dict[str, Any]]]


def run_on(campaign_id: UUID) -> Run:
    return Run("run", campaign_id, Agent.EMAIL_VERIFICATION)


def test_it_is_the_port(database_url: str) -> None:
    database: Database = PostgresDatabase(database_url)
    assert database


async def test_a_campaign_is_held_by_one_run(database_url: str) -> None:
    campaign, other = uuid4(), uuid4()
    database = PostgresDatabase(database_url)
    async with database.open(run_on(campaign)), database.open(run_on(other)):
        with pytest.raises(CampaignBusy, match=str(campaign)):
            async with database.open(run_on(campaign)):
                pass


async def test_a_campaign_is_free_as_soon_as_its_run_ends(database_url: str) -> None:
    database, run = PostgresDatabase(database_url), run_on(uuid4())
    for _ in range(5):
        async with database.open(run):
            pass


async def test_a_run_that_breaks_lets_its_campaign_go(database_url: str) -> None:
    database, run = PostgresDatabase(database_url), run_on(uuid4())
    with pytest.raises(ZeroDivisionError):
        async with database.open(run):
            raise ZeroDivisionError
    async with database.open(run) as books:
        assert (await books.sighting(run.campaign_id)).held


async def test_a_run_that_is_cancelled_lets_its_campaign_go(database_url: str) -> None:
    database, run, opened = PostgresDatabase(database_url), run_on(uuid4()), asyncio.Event()

    async def work() -> None:
        async with database.open(run):
            opened.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.open(run):
        pass


async def test_reading_goes_beside_a_run(database_url: str) -> None:
    database, run = PostgresDatabase(database_url), run_on(uuid4())
    async with database.open(run), database.reading() as books:
        assert (await books.sighting(run.campaign_id)).held
        assert not (await books.sighting(uuid4())).held


async def test_the_lock_is_held_outside_any_transaction(database_url: str, query: Query) -> None:
    async with PostgresDatabase(database_url).open(run_on(uuid4())):
        states = query(
            "SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )
    assert states == [{"state": "idle"}]


def test_the_lock_follows_from_the_campaign_alone() -> None:
    assert campaign_lock(UUID(int=1)) == campaign_lock(UUID(int=1)) != campaign_lock(UUID(int=2))
    assert all(-(2**63) <= campaign_lock(uuid4()) < 2**63 for _ in range(100))


async def test_a_connection_says_who_it_is_and_speaks_utc(database_url: str) -> None:
    async with PostgresDatabase(database_url).open(run_on(uuid4())) as books, books.engine.connect() as line:
        name = await line.scalar(text("SELECT current_setting('application_name')"))
        zone = await line.scalar(text("SELECT current_setting('TimeZone')"))
    assert (name, zone) == ("phase3:email_verification", "UTC")


async def test_what_the_url_says_for_itself_stands(database_url: str) -> None:
    url = f"{database_url}&application_name=mine&options=-csearch_path%3Dpg_catalog,public"
    async with PostgresDatabase(url).reading() as books, books.engine.connect() as line:
        name = await line.scalar(text("SELECT current_setting('application_name')"))
        path = await line.scalar(text("SELECT current_setting('search_path')"))
        zone = await line.scalar(text("SELECT current_setting('TimeZone')"))
    assert (name, path, zone) == ("mine", "pg_catalog,public", "UTC")


async def test_tables_are_not_made_on_the_way(empty_database_url: str) -> None:
    with pytest.raises(BadInput, match="phase3 db upgrade"):
        async with PostgresDatabase(empty_database_url).reading():
            pass


UNREACHABLE = "postgresql://joe:s3cret@127.0.0.1:1/leads"


def one_line_without_password(failure: OutsideFailure) -> bool:
    words = str(failure)
    return "s3cret" not in words and "\n" not in words and "127.0.0.1" in words and "'leads'" in words


async def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    with pytest.raises(OutsideFailure) as open_:
        async with PostgresDatabase(UNREACHABLE, longest_outage_s=0).open(run_on(uuid4())):
            pass
    with pytest.raises(OutsideFailure) as upgrading:
        upgrade(UNREACHABLE)
    with pytest.raises(OutsideFailure) as checking:
        require_current(UNREACHABLE)
    assert all(one_line_without_password(failure.value) for failure in (open_, upgrading, checking))


async def test_a_missing_database_is_named(postgres: Server) -> None:
    with pytest.raises(OutsideFailure, match=r"'nowhere'.*does not exist"):
        async with PostgresDatabase(postgres.database("nowhere"), longest_outage_s=0).reading():
            pass


@pytest.mark.parametrize(
    ("option", "table", "why"),
    [
        ("default_transaction_read_only=on", "budgets", "read-only transaction"),
        ("timezone=UTC", "pg_authid", "permission denied"),
    ],
)
async def test_a_server_that_takes_no_writing_is_said_as_plainly(
    option: str, table: str, why: str, database_url: str
) -> None:
    url = driver_url(database_url).update_query_dict({"options": f"-c{option}"})
    database = PostgresDatabase(url.render_as_string(hide_password=False))
    with pytest.raises(OutsideFailure, match=f"{why}.*Name a server that takes writing"):
        async with database.reading() as books, books.engine.begin() as connection:
            await connection.execute(text(f"DELETE FROM {table}"))


async def test_a_server_lost_on_the_way_is_said_as_plainly(database_url: str, query: Query) -> None:
    database, run = PostgresDatabase(database_url), run_on(uuid4())

    async def work() -> None:
        async with database.open(run) as books, books.engine.connect() as line:
            query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await line.execute(select(1))

    with pytest.raises(OutsideFailure, match="goes on where it stopped"):
        await work()
    async with database.open(run):
        pass


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("postgres://joe:x@db:5433/leads", "postgresql+psycopg://joe:x@db:5433/leads"),
        ("postgresql://db/leads", "postgresql+psycopg://db/leads"),
        ("postgresql+psycopg2://db/leads", "postgresql+psycopg://db/leads"),
        (
            "postgresql://postgres:@/phase3?host=/run/pg",
            "postgresql+psycopg://postgres:@/phase3?host=%2Frun%2Fpg",
        ),
    ],
)
def test_urls_are_taken_as_people_write_them(given: str, understood: str) -> None:
    assert driver_url(given).render_as_string(hide_password=False) == understood


@pytest.mark.parametrize(
    "url", ["", "leads", "mysql://joe:s3cret@db/leads", "postgresql://joe:s3cret@db:port/x"]
)
def test_other_addresses_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(BadInput, match="postgresql://user:password@host") as refusal:
        driver_url(url)
    assert "s3cret" not in str(refusal.value)


def test_a_password_with_an_at_sign_in_it_is_not_taken_for_a_host() -> None:
    with pytest.raises(BadInput, match=r"write it as %40") as refusal:
        driver_url("postgresql://joe:first@s3cret@db/leads")
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": "x\x00y"}, '{"a": "xy"}'),
        ({"a": "\\u0000"}, '{"a": "\\\\u0000"}'),
        ({"a": "half \ud83d pair"}, '{"a": "half ? pair"}'),
        ({"é": UUID(int=1)}, '{"é": "00000000-0000-0000-0000-000000000001"}'),
    ],
)
async def test_json_is_made_fit_for_the_database(database_url: str, value: Any, written: str) -> None:
    assert json_text(value) == written
    async with PostgresDatabase(database_url).reading() as books, books.engine.connect() as line:
        await line.execute(text("SELECT CAST(:json AS jsonb)"), {"json": json_text(value)})
