"""Dagster's own records, opened with words for what can go wrong."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import dagster as dg
from dagster._core.instance import InstanceRef
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.utils import DagsterPostgresException, create_pg_engine
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from phase3_assets.looking import look
from phase3_assets.workplace import DAGSTER_HOME, DAGSTER_URL
from phase3_core.errors import BadInput, CampaignBusy, OutsideFailure

UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.NOT_STARTED]
# A run from a shell keeps its own stdout and stderr: Dagster's capture starts helpers that die of a Ctrl-C
# with a traceback each.
UNCAPTURED = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
BETWEEN_ASSETS_S = 3.0  # a live run lets go of its campaign for less than this
LOOK_EVERY_S = 0.25


@contextmanager
def opened() -> Iterator[dg.DagsterInstance]:
    """The instance that DAGSTER_HOME describes; raises OutsideFailure where it cannot be had."""
    logging.disable(logging.WARNING)  # it tries for twelve seconds and tells of every try
    try:
        instance = dg.DagsterInstance.from_ref(InstanceRef.from_dir(_home(), overrides=UNCAPTURED))
    except (DagsterPostgresException, SQLAlchemyError) as failure:
        raise OutsideFailure(
            f"Dagster's records cannot be opened ({type(failure).__name__}). Check {DAGSTER_URL}, "
            "or unset it to keep them beside the campaigns; `phase3 db upgrade` makes their schema."
        ) from None
    finally:
        logging.disable(logging.NOTSET)
    with instance, _connected(instance):
        yield instance


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


def end_dead_runs(url: str, instance: dg.DagsterInstance, campaign_id: UUID) -> None:
    """A run whose process was killed is still STARTED; the campaign's lock, when free, proves it dead."""
    tags = {"dagster/partition": str(campaign_id)}
    unfinished = instance.get_runs(filters=dg.RunsFilter(tags=tags, statuses=UNFINISHED))
    if not unfinished:
        return
    if _at_work(url, campaign_id):
        raise CampaignBusy(str(campaign_id))
    for run in unfinished:
        instance.report_run_failed(run, "Its process is gone; a later run resumes the campaign.")


def _at_work(url: str, campaign_id: UUID) -> bool:
    """Looked at for a while: a run that starts, or goes from one asset to the next, holds no lock."""
    patience = time.monotonic() + BETWEEN_ASSETS_S
    while not look(url, lambda books: books.is_held(campaign_id)):
        if time.monotonic() > patience:
            return False
        time.sleep(LOOK_EVERY_S)
    return True
