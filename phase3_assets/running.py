"""`phase3 run`: the Dagster job on one campaign, in this process, with the same records as from the UI."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import dagster as dg
from dagster_shared.error import SerializableErrorInfo
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from phase3_assets.definitions import defs
from phase3_assets.failures import EXIT_CODE
from phase3_assets.jobs import CAMPAIGN_TAG
from phase3_assets.looking import look
from phase3_assets.partitions import campaigns
from phase3_assets.result import read_result
from phase3_core.errors import BadInput, CampaignBusy, StoppedAtThreshold

UNFINISHED = [
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.NOT_STARTED,
]
STOPPED = StoppedAtThreshold.exit_code
PROGRESS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may do otherwise than the settings say."""

    preset: str | None = None
    force_continue: bool = False

    def run_config(self) -> dict[str, Any]:
        policy: dict[str, Any] = {"force_continue": True} if self.force_continue else {}
        if self.preset:
            if self.preset not in {"standard", "pilot"}:
                raise BadInput(f"There is no preset {self.preset!r}; there are standard and pilot.")
            policy["preset"] = self.preset.upper()
        quiet = {"console": {"config": {"log_level": "CRITICAL"}}}
        return {"loggers": quiet} | ({"resources": {"policy": {"config": policy}}} if policy else {})


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `failure` is one line for the user, empty when all is well."""

    exit_code: int
    result: dict[str, Any]
    failure: str


def run_campaign(url: str, name: str, options: Options, words: Console) -> Ended:
    """Raises BadInput, CampaignBusy, OutsideFailure before anything is started."""
    config = options.run_config()
    campaign_id = look(url, lambda books: books.campaigns.campaign_named(name))
    campaign = look(url, lambda books: books.campaigns.campaign(campaign_id))
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(str(campaigns.name), [str(campaign_id)])
        end_dead_runs(url, instance, campaign_id)
        with shown_progress(url, campaign_id, words):
            done = defs.resolve_job_def("phase3").execute_in_process(
                instance=instance,
                partition_key=str(campaign_id),
                run_config=config,
                tags={CAMPAIGN_TAG: campaign.name},
                raise_on_error=False,
            )
        return _ended(url, instance, campaign_id, done)


def campaign_result(url: str, name: str) -> dict[str, Any]:
    campaign_id = look(url, lambda books: books.campaigns.campaign_named(name))
    with dg.DagsterInstance.get() as instance:
        return look(url, lambda books: read_result(instance, books, campaign_id))


def end_dead_runs(url: str, instance: dg.DagsterInstance, campaign_id: UUID) -> None:
    """A run whose process was killed is still STARTED; the campaign's lock, when free, proves it dead."""
    tags = {"dagster/partition": str(campaign_id)}
    unfinished = instance.get_runs(filters=dg.RunsFilter(tags=tags, statuses=UNFINISHED))
    if not unfinished:
        return
    if look(url, lambda books: books.is_held(campaign_id)):
        raise CampaignBusy(str(campaign_id))
    for run in unfinished:
        instance.report_run_failed(run, "Its process is gone; a later run resumes the campaign.")


def _ended(
    url: str, instance: dg.DagsterInstance, campaign_id: UUID, done: dg.ExecuteInProcessResult
) -> Ended:
    result = look(url, lambda books: read_result(instance, books, campaign_id))
    if done.success:
        return Ended(0, result, "")
    if result["status"] == "stopped":
        rows = look(url, lambda books: books.campaigns.overview())
        return Ended(STOPPED, result, next(row.reason for row in rows if row.id == campaign_id))
    code, line = _first_failure(done)
    return Ended(code, result, line)


def _first_failure(done: dg.ExecuteInProcessResult) -> tuple[int, str]:
    """Exit code and one line from the first failure; a foreign error is named, with where to look."""
    for event in done.all_events:
        if event.is_step_failure:
            told = event.step_failure_data.user_failure_data
            if told is not None and told.description:
                code = (told.metadata or {}).get(EXIT_CODE)
                return int(str(code.value)) if code else 1, told.description
            return 1, _one_line(event.step_failure_data.error, done.run_id)
        if event.is_job_failure:
            return 1, _one_line(event.job_failure_data.error, done.run_id)
    return 1, _one_line(None, done.run_id)


def _one_line(error: SerializableErrorInfo | None, run_id: str) -> str:
    """Our own words from the bottom of the chain, where a resource could not be made; else a class name."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is not None and error.cls_name == dg.Failure.__name__:
        return error.message.partition(": ")[2].strip()
    name = error.cls_name if error else "no failure was recorded"
    return f"The run failed ({name}); run {run_id} in the Dagster UI has the details."


@contextmanager
def shown_progress(url: str, campaign_id: UUID, words: Console) -> Iterator[None]:
    """A bar per agent on stderr, read from the checkpoints; nothing where nobody looks."""
    if not words.is_terminal:
        yield
        return
    over = threading.Event()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("${task.fields[usd]}"),
    )
    with Progress(*columns, console=words, transient=True) as bars:
        watcher = threading.Thread(target=_watch, args=(url, campaign_id, bars, over), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def _watch(url: str, campaign_id: UUID, bars: Progress, over: threading.Event) -> None:
    shown: dict[str, Any] = {}
    while not over.wait(PROGRESS_EVERY_S):
        for row in look(url, lambda books: books.checkpoints.latest(campaign_id)):
            task = shown.get(row.agent_id)
            if task is None:
                task = shown[row.agent_id] = bars.add_task(row.agent_id, usd="0")
            bars.update(task, completed=row.items_processed, total=row.items_total, usd=row.spent_usd)
