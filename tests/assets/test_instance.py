"""Dagster's records as `phase3 run` keeps them: on lines of its own, without runs that are dead."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import dagster as dg
import psycopg
import pytest
from dagster._core.test_utils import create_run_for_test
from dagster_postgres.utils import retry_pg_connection_fn
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from phase3_assets import instance as records
from phase3_assets import workplace
from phase3_assets.instance import MOST_AT_ONCE, end_dead_runs, opened, records_told_plainly
from phase3_assets.upgrading import upgrade_all
from phase3_assets.workplace import DAGSTER_URL
from phase3_core.errors import CampaignBusy, OutsideFailure
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres.database import driver_url
from resources.postgres.lease import Lease
from resources.postgres.signs_of_life import BEFORE_THE_FIRST_S, DEAD_AFTER_S
from tests.conftest import at_work
from tests.fakes.clock import FakeClock
from tests.polling import until

Status = dg.DagsterRunStatus
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def test_records_keep_their_line_replace_one_that_broke_and_close_it(
    database_url: str, tmp_path: Path
) -> None:
    place = {"DATABASE_URL": database_url, "PHASE3_STATE_DIR": str(tmp_path)}
    with workplace.environment(**place), workplace.database(print) as url:
        upgrade_all(url)
        with psycopg.connect(os.environ[DAGSTER_URL], autocommit=True) as watch, opened() as instance:
            instance.get_runs(limit=1)
            line = watch.execute(f"SELECT pid {OTHERS}").fetchall()
            assert instance.get_runs(limit=1) == []
            assert watch.execute(f"SELECT pid {OTHERS}").fetchall() == line
            watch.execute(f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}")
            assert instance.get_runs(limit=1) == []
        with psycopg.connect(os.environ[DAGSTER_URL], autocommit=True) as watch:
            await until(lambda: watch.execute(f"SELECT count(*) {OTHERS}").fetchone() == (0,))


@pytest.mark.parametrize(("failures", "opens"), [(2, True), (MOST_AT_ONCE, False)])
def test_records_whose_tables_another_first_run_makes_at_that_moment_are_opened_once_they_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failures: int, *, opens: bool
) -> None:
    made_twice = ProgrammingError("CREATE TABLE instance_info", {}, Exception("it exists"))
    tries: list[Any] = [*[made_twice] * failures, dg.DagsterInstance.ephemeral()]
    monkeypatch.setattr(dg.DagsterInstance, "from_ref", Mock(side_effect=tries))
    monkeypatch.setenv(workplace.DAGSTER_HOME, str(tmp_path))
    with nullcontext() if opens else pytest.raises(OutsideFailure), opened() as instance:
        assert instance.get_runs(limit=1) == []


@pytest.mark.parametrize("password", ["a!b", "a%21b", "plus+one", "%40%23%2F%3A", "tilde~"])
def test_dagster_has_its_schema_whatever_the_password_is_like(
    database_url: str, tmp_path: Path, password: str
) -> None:
    """Two addresses of one database may be written in two ways."""
    place = make_url(database_url).set(drivername="postgresql", password="SECRET")
    url = place.render_as_string(hide_password=False).replace("SECRET", password)
    schema = f"{'&' if place.query else '?'}options=-csearch_path%3Ddagster"
    told = {"DATABASE_URL": url, DAGSTER_URL: url + schema}
    with workplace.environment(**told, PHASE3_STATE_DIR=str(tmp_path)), workplace.database(print):
        upgrade_all(url)
        with opened() as instance:
            assert instance.get_runs(limit=1) == []


@dataclass
class Campaign:
    """One that a run has left STARTED in Dagster's records, and somebody who wants to run it."""

    url: str
    instance: dg.DagsterInstance
    clock: FakeClock = field(default_factory=FakeClock)
    id: UUID = field(default_factory=uuid4)
    told: list[str] = field(default_factory=list)
    meanwhile: dict[float, Callable[[], Any]] = field(default_factory=dict)  # by the clock

    def __post_init__(self) -> None:
        tags = {"dagster/partition": str(self.id)}
        self.run_id = create_run_for_test(
            self.instance, job_name="phase3", status=Status.STARTED, tags=tags
        ).run_id

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.meanwhile.pop(self.clock.seconds, lambda: None)()

    def status(self) -> dg.DagsterRunStatus | None:
        run = self.instance.get_run_by_id(self.run_id)
        return run.status if run else None

    def ends_dead_runs(self) -> None:
        end_dead_runs(self.url, self.instance, self.id, self.told.append)

    def run(self, *acts: Callable[[Lease], Awaitable[None]]) -> None:
        """What a process of the run does to the campaign's lock, which goes with its connection."""

        async def acting() -> None:
            engine = create_async_engine(driver_url(self.url))
            lease = Lease(engine, Run(self.run_id, self.id, Agent.EMAIL_VERIFICATION))
            lease.fence = 1
            for act in acts:
                await act(lease)
            await lease.let_go()
            await engine.dispose()

        asyncio.run(acting())


@pytest.fixture
def campaign(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Campaign]:
    monkeypatch.setenv("PHASE3_STATE_DIR", str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        campaign = Campaign(database_url, instance)
        monkeypatch.setattr(records, "LOOK_EVERY_S", 5.0)
        monkeypatch.setattr(records, "monotonic", campaign.clock.monotonic)
        monkeypatch.setattr(records, "sleep", campaign.sleep)
        yield campaign


def test_the_record_of_a_run_is_ended_when_its_lock_stays_free(campaign: Campaign) -> None:
    campaign.run(Lease.take)
    campaign.ends_dead_runs()
    assert campaign.status() is Status.FAILURE
    assert campaign.clock.seconds == DEAD_AFTER_S
    assert len(campaign.told) == 1


def test_a_run_that_has_not_come_to_its_first_asset_gets_the_time_for_it(campaign: Campaign) -> None:
    campaign.ends_dead_runs()
    assert campaign.status() is Status.FAILURE
    assert campaign.clock.seconds == BEFORE_THE_FIRST_S


def test_a_run_that_is_known_to_be_gone_is_ended_at_once(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign.run(Lease.take)
    monkeypatch.setattr(records, "is_gone_here", lambda run_id: run_id == campaign.run_id)
    campaign.ends_dead_runs()
    assert campaign.status() is Status.FAILURE
    assert (campaign.clock.seconds, campaign.told) == (0.0, [])


def test_a_run_whose_lock_was_cut_twice_has_the_whole_time_again(campaign: Campaign) -> None:
    campaign.run(Lease.take)
    campaign.meanwhile[25.0] = lambda: campaign.run(Lease._look)
    campaign.ends_dead_runs()
    assert campaign.clock.seconds == 25.0 + DEAD_AFTER_S


def test_while_a_run_holds_its_campaign_it_is_alive(campaign: Campaign) -> None:
    campaign.run(Lease.take)
    with at_work(campaign.url, campaign.id), pytest.raises(CampaignBusy, match=str(campaign.id)):
        campaign.ends_dead_runs()
    assert campaign.status() is Status.STARTED


def test_where_a_look_fails_nobody_is_ended(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise OutsideFailure("The database does not answer.")

    campaign.run(Lease.take)
    campaign.meanwhile[25.0] = lambda: monkeypatch.setattr(records, "look", fails)
    with pytest.raises(OutsideFailure):
        campaign.ends_dead_runs()
    assert campaign.status() is Status.STARTED


def test_a_run_that_comes_to_its_end_meanwhile_is_left_as_it_ended(campaign: Campaign) -> None:
    def ends() -> None:
        run = campaign.instance.get_run_by_id(campaign.run_id)
        assert run is not None
        campaign.instance.report_run_canceled(run)

    campaign.run(Lease.take)
    campaign.meanwhile[5.0] = ends
    campaign.ends_dead_runs()
    assert (campaign.status(), campaign.clock.seconds) == (Status.CANCELED, 5.0)


def away() -> None:
    raise OperationalError("SELECT 1", {}, OSError("connection refused"))


def dagster_gives_up() -> None:
    retry_pg_connection_fn(away, retry_limit=1, retry_wait=0)


@pytest.mark.parametrize("breaks", [away, dagster_gives_up])
def test_records_that_cannot_be_written_are_told_in_one_line(
    caplog: pytest.LogCaptureFixture, breaks: Callable[[], None]
) -> None:
    """Dagster would tell of each try to connect, and of the failure by its traceback."""
    with (
        pytest.raises(OutsideFailure, match=r"^The database .+ run again: .+\.$") as raised,
        records_told_plainly(),
    ):
        breaks()
    assert "\n" not in str(raised.value)
    assert caplog.messages == []
