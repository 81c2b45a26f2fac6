"""`phase3 db prune`, and the schedule that does the same every night once somebody switches it on."""

import asyncio
from datetime import timedelta
from typing import Any

import dagster as dg

from phase3_assets.failures import told_to_dagster
from phase3_assets.forgetting import FREE, withdrawn_lists
from phase3_core.ports.books import Database
from phase3_core.ports.exporter import Exporter
from phase3_core.saga import StepState
from resources.exports.campaign_exports import EVERY_KIND, exporter_of, spreadsheet_of, written
from resources.exports.files import exports_folder
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.retention import PostgresRetention, Retention
from resources.settings import Settings, read_settings, settings_path

WINDOWS = {provider: window for provider, window in FREE.items() if window is not None}
EVERY_NIGHT = "20 3 * * *"  # UTC


def prune(url: str, *, dry_run: bool) -> dict[str, Any]:
    """Raises BadInput for settings with a mistake, OutsideFailure."""
    settings = read_settings(settings_path())
    exporter = exporter_of(EVERY_KIND, exports_folder(), spreadsheet_of(settings))
    database = PostgresDatabase(url, longest_outage_s=0)
    return asyncio.run(pruned(database, exporter, settings, dry_run=dry_run))


async def pruned(
    database: Database, exporter: Exporter, settings: Settings, *, dry_run: bool = False
) -> dict[str, Any]:
    kept, fresh = settings.retention, timedelta(days=settings.ledger.fresh_days)
    async with database.reading() as books:
        if not isinstance(books, PostgresBooks):
            raise TypeError("what is kept is kept in PostgreSQL")
        policy = Retention(kept.answers_days, kept.leads_days, fresh, WINDOWS)
        retention = PostgresRetention(books.engine, policy)
        folder = exports_folder()
        done = await (retention.due() if dry_run else retention.prune(lambda one: written(folder, one)))
    lists = await withdrawn_lists(database, exporter, done.undo)
    return {
        "dry_run": dry_run,
        "answers_days": kept.answers_days,
        "leads_days": kept.leads_days,
        "calls": done.calls,
        "leads": done.leads,
        "campaigns": done.campaigns,
        "exports_left": [str(one.campaign_id) for one in lists if one.state is not StepState.COMPENSATED],
    }


def in_a_sentence(told: dict[str, Any]) -> str:
    verb = "Would erase" if told["dry_run"] else "Erased"
    kept = [f"{name} {told[f'{name}_days'] or 'for ever'}" for name in ("answers", "leads")]
    return (
        f"{verb} what {told['calls']:,} calls asked and answered, and {told['leads']:,} people of "
        f"{told['campaigns']:,} campaigns; amounts stay. Kept, in days: {', '.join(kept)}."
    )


@dg.op
def erase_what_is_old(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[Database],
    exporter: dg.ResourceParam[Exporter],
) -> None:
    """Erases by the policy of `[retention]` in the settings."""
    with told_to_dagster():
        told = asyncio.run(pruned(database, exporter, read_settings(settings_path())))
    context.log.info(in_a_sentence(told))


@dg.job(description="Erases old answers, and the people of campaigns that have ended, by [retention].")
def retention() -> None:
    erase_what_is_old()


retention_nightly = dg.ScheduleDefinition(
    name="retention_nightly",
    job=retention,
    cron_schedule=EVERY_NIGHT,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
