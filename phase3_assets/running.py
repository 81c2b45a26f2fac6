"""`phase3 run`: the Dagster job on one campaign, in this process, with the same records as from the UI."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import dagster as dg
from dagster_shared.error import SerializableErrorInfo
from rich.console import Console

from phase3_assets.agents import FORETOLD
from phase3_assets.compensating import call_off, take_back, take_back_what_is_over
from phase3_assets.definitions import defs
from phase3_assets.failures import EXIT_CODE
from phase3_assets.following import followed, post_result
from phase3_assets.instance import end_dead_runs, opened, records_told_plainly
from phase3_assets.living import living
from phase3_assets.looking import look
from phase3_assets.partitions import CAMPAIGN_TAG, campaigns
from phase3_assets.progress import shown_progress
from phase3_assets.result import read_result
from phase3_core.errors import BadInput, OutsideFailure, StoppedAtThreshold
from phase3_core.leads import Campaign
from phase3_core.statuses import CANCELLED
from resources.exports.campaign_exports import usual_exporter
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.settings import read_settings, settings_path

STOPPED = StoppedAtThreshold.exit_code
PRESETS = ("standard", "pilot")
CUT_SHORT = "Cancelled; what was in flight is recorded. Run again to go on where it stopped."
NO_RETRIES = {"dagster/max_retries": "0"}  # who runs it from a shell decides whether to run it again


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may do otherwise than the settings say."""

    preset: str | None = None
    force_continue: bool = False

    def run_config(self) -> dict[str, Any]:
        """Dagster's own words stay off the console; raises BadInput for an unknown preset."""
        if self.preset and self.preset not in PRESETS:
            raise BadInput(f"There is no preset {self.preset!r}; there are {' and '.join(PRESETS)}.")
        policy: dict[str, Any] = {"preset": self.preset.upper()} if self.preset else {}
        if self.force_continue:
            policy["force_continue"] = True
        quiet = {"console": {"config": {"log_level": "CRITICAL"}}}
        return {"loggers": quiet, "resources": {"policy": {"config": policy}}}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `failure` is one line for the user, empty when all is well."""

    exit_code: int
    result: dict[str, Any]
    failure: str


def run_campaign(url: str, name: str, options: Options, words: Console, *, follow: bool = False) -> Ended:
    """Raises BadInput, CampaignBusy before anything is started; OutsideFailure where the database is gone."""
    config = options.run_config()
    database = PostgresDatabase(url, longest_outage_s=0)
    exporter = usual_exporter(read_settings(settings_path()))
    campaign = look(url, lambda books: _named(books, name))
    campaign_id = campaign.id
    with opened() as instance:
        instance.add_dynamic_partitions(str(campaigns.name), [str(campaign_id)])
        end_dead_runs(url, instance, campaign_id, partial(words.print, markup=False, soft_wrap=True))
        take_back_what_is_over(instance, database, exporter, campaign_id)
        watching = followed(url, campaign_id) if follow else shown_progress(url, campaign_id, words)
        with watching, foretold(words):
            done = _executed(instance, campaign, config)
        if not done.success:
            with suppress(OutsideFailure):  # the run's own failure is to be told; the next run tries again
                take_back(database, exporter, done.run_id, _why_over(done))
                call_off(instance, database, campaign_id)
        ended = _ended(url, instance, campaign_id, done)
    post_result(url, campaign_id, ended.result)
    return ended


def _executed(
    instance: dg.DagsterInstance, campaign: Campaign, config: Mapping[str, Any]
) -> dg.ExecuteInProcessResult:
    run_id = str(uuid4())
    with living(run_id), records_told_plainly():
        return defs.resolve_job_def("phase3").execute_in_process(
            instance=instance,
            run_id=run_id,
            partition_key=str(campaign.id),
            run_config=config,
            tags={CAMPAIGN_TAG: campaign.name, **NO_RETRIES},
            raise_on_error=False,
        )


def _why_over(done: dg.ExecuteInProcessResult) -> str:
    """For a campaign that it left between two agents: Dagster files a Ctrl-C there as a crash."""
    _, line = _first_failure(done)
    return CANCELLED if line == CUT_SHORT else line


@contextmanager
def foretold(words: Console) -> Iterator[None]:
    """What the run expects, as its first lines."""
    teller = _Teller(words)
    FORETOLD.addHandler(teller)
    FORETOLD.setLevel(logging.INFO)
    FORETOLD.propagate = False
    try:
        yield
    finally:
        FORETOLD.removeHandler(teller)


class _Teller(logging.Handler):
    def __init__(self, words: Console) -> None:
        super().__init__()
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        style = "bold" if record.levelno >= logging.WARNING else None
        self._words.print(record.getMessage(), style=style, markup=False, soft_wrap=True)


async def _named(books: PostgresBooks, name: str) -> Campaign:
    return await books.campaigns.campaign(await books.campaigns.campaign_named(name))


def campaign_result(url: str, name: str) -> dict[str, Any]:
    campaign_id = look(url, lambda books: books.campaigns.campaign_named(name))
    with opened() as instance:
        return look(url, lambda books: read_result(instance, books, campaign_id))


def _ended(
    url: str, instance: dg.DagsterInstance, campaign_id: UUID, done: dg.ExecuteInProcessResult
) -> Ended:
    result = look(url, lambda books: read_result(instance, books, campaign_id))
    if done.success:
        return Ended(0, result, "")
    code, line = _first_failure(done)
    if code == STOPPED:
        (row,) = look(url, lambda books: books.campaigns.overview(campaign_id))
        line = row.reason or line
    return Ended(code, result, line)


def _first_failure(done: dg.ExecuteInProcessResult) -> tuple[int, str]:
    """Exit code and one line."""
    for event in done.all_events:
        if event.is_step_failure:
            told = event.step_failure_data.user_failure_data
            if told is not None and told.description:
                code = (told.metadata or {}).get(EXIT_CODE)
                return int(str(code.value)) if code else 1, told.description
            return _read(event.step_failure_data.error, done.run_id)
        if event.is_job_failure:
            return _read(event.job_failure_data.error, done.run_id)
    return _read(None, done.run_id)


def _read(error: SerializableErrorInfo | None, run_id: str) -> tuple[int, str]:
    """Our own words where they are in the chain of causes; a foreign error is named, with where to look."""
    chain = {cause.cls_name: cause for cause in _causes(error)}
    if dg.DagsterExecutionInterruptedError.__name__ in chain:
        return 1, CUT_SHORT
    if ours := chain.get(dg.Failure.__name__):
        return 1, ours.message.partition(": ")[2].strip()
    if "DagsterAssetCheckFailedError" in chain:
        return STOPPED, "Stopped at a threshold."
    name = list(chain)[-1] if chain else "no failure was recorded"
    return 1, f"The run failed ({name}); run {run_id} in the Dagster UI has the details."


def _causes(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    while error is not None:
        yield error
        error = error.cause
