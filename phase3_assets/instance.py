"""Dagster's own records, opened with words for what can go wrong."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from uuid import UUID

import dagster as dg
from dagster._core.instance import InstanceRef
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.utils import DagsterPostgresException, create_pg_engine
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from phase3_assets.living import is_gone_here, unmark
from phase3_assets.looking import look
from phase3_assets.partitions import unfinished_runs
from phase3_assets.workplace import DAGSTER_HOME, DAGSTER_URL
from phase3_core.errors import BadInput, CampaignBusy, OutsideFailure
from resources.postgres.signs_of_life import BEFORE_THE_FIRST_S, SignsOfLife

# A run from a shell keeps its own stdout and stderr: Dagster's capture starts helpers that die of a Ctrl-C
# with a traceback each.
UNCAPTURED = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
RECORDS_GONE = (
    "The database that keeps Dagster's records stays away. "
    "Check the server and run again: the run goes on where it stopped."
)
MOST_AT_ONCE = 6  # tries to open records whose tables others are making
LOOK_EVERY_S = 1.0
MISSED_AFTER_S = 10.0  # this process stood still, and maybe the database with it


@contextmanager
def opened() -> Iterator[dg.DagsterInstance]:
    """The instance that DAGSTER_HOME describes; raises OutsideFailure where it cannot be had."""
    logging.disable(logging.WARNING)  # it tries for twelve seconds and tells of every try
    try:
        instance = _instance()
    except (DagsterPostgresException, SQLAlchemyError) as failure:
        raise OutsideFailure(
            f"Dagster's records cannot be opened ({type(failure).__name__}). Check {DAGSTER_URL}, "
            "or unset it to keep them beside the campaigns; `phase3 db upgrade` makes their schema."
        ) from None
    finally:
        logging.disable(logging.NOTSET)
    with instance, _connected(instance):
        yield instance


@retry(
    retry=retry_if_exception_type((ProgrammingError, IntegrityError)),
    stop=stop_after_attempt(MOST_AT_ONCE),
    wait=wait_random(0.1, 1.0),
    reraise=True,
)
def _instance() -> dg.DagsterInstance:
    """Of first runs that start at once each makes Dagster's tables: what another has made is an error."""
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(_home(), overrides=UNCAPTURED))


@contextmanager
def records_told_plainly() -> Iterator[None]:
    """Records that cannot be written end Dagster's run wherever it is, also as it writes why the run failed.

    Raises OutsideFailure. Of each try to connect Dagster would tell several lines of the driver's.
    """
    root = logging.getLogger()
    root.addFilter(_is_no_retry)
    try:
        yield
    except (DagsterPostgresException, SQLAlchemyError):
        raise OutsideFailure(RECORDS_GONE) from None
    finally:
        root.removeFilter(_is_no_retry)


def _is_no_retry(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Retrying failed database connection")


@contextmanager
def _connected(instance: dg.DagsterInstance) -> Iterator[None]:
    """Dagster connects anew for each record that it writes or reads, some 170 times in the smallest run.

    Here runs and events keep a connection each, looked at before use: the server may have been restarted.
    """
    records = (instance.run_storage, instance.event_log_storage)
    kept = [_keep(one) for one in records if isinstance(one, PostgresRunStorage | PostgresEventLogStorage)]
    try:
        yield
    finally:
        for engine in kept:
            engine.dispose()


def _keep(records: PostgresRunStorage | PostgresEventLogStorage) -> Engine:
    """Dagster's own `optimize_for_webserver` does so as well, but takes a connection that broke for whole."""
    engine = create_pg_engine(
        records.postgres_url,
        records._token_provider,  # noqa: SLF001 - who comes by short-lived passwords keeps doing so
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        pool_pre_ping=True,
    )
    records._engine = engine  # noqa: SLF001 - how Dagster itself changes from connecting anew to keeping
    return engine


def _home() -> str:
    home = os.environ[DAGSTER_HOME]
    if not Path(home).is_dir():
        raise BadInput(f"{DAGSTER_HOME} is {home!r}, which is no directory. Unset it to use our own.")
    return home


def make_tables_once() -> None:
    """Before several processes start: a parallel first start has made Dagster's tables twice."""
    with opened() as instance:
        instance.get_runs(limit=1)


def end_dead_runs(
    url: str, instance: dg.DagsterInstance, campaign_id: UUID, tell: Callable[[str], None]
) -> None:
    """A run whose process was killed is still STARTED. Raises CampaignBusy where one of them is alive.

    One whose process is known to be gone is ended at once; others are waited for, and `tell` says so.
    """
    signs = SignsOfLife(longest_gap_s=MISSED_AFTER_S)
    if _ended(url, instance, campaign_id, signs):
        return
    tell(f"An earlier run may be alive: it is given up to {BEFORE_THE_FIRST_S:.0f} s for a sign of life.")
    while not _ended(url, instance, campaign_id, signs):
        sleep(LOOK_EVERY_S)


def _ended(url: str, instance: dg.DagsterInstance, campaign_id: UUID, signs: SignsOfLife) -> bool:
    """Whether none is left that is neither over nor dead."""
    unfinished = unfinished_runs(instance, str(campaign_id))
    if not unfinished:
        return True
    found = look(url, lambda books: books.sighting(campaign_id))
    if found.held:
        raise CampaignBusy(str(campaign_id))
    signs.seen(found, monotonic())
    dead = [run for run in unfinished if is_gone_here(run.run_id) or signs.is_dead(run.run_id)]
    for run in dead:
        instance.report_run_failed(run, "Its process is gone; a later run resumes the campaign.")
        unmark(run.run_id)
    return dead == unfinished
