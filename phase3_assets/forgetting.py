"""`phase3 forget`: a person is erased from whatever we keep, and never asked about again."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from phase3_core.calls import ReplayClass
from phase3_core.compensation import compensate_dead
from phase3_core.ports.books import Database
from phase3_core.ports.exporter import Exporter
from phase3_core.saga import Step, StepState
from phase3_core.statuses import CampaignStatus
from resources.exports.campaign_exports import EVERY_KIND, exporter_of, spreadsheet_of, written
from resources.exports.files import Folder, exports_folder
from resources.forget_key import pseudonyms
from resources.postgres.database import PostgresDatabase
from resources.postgres.forgetting import Asked, Erased, PostgresForgetting
from resources.postgres.person import Person
from resources.providers.catalogue import CATALOGUE
from resources.settings import read_settings, settings_path

ABOUT_COMPANIES = [
    (row.name, one.name) for row in CATALOGUE if row.spec.per_company for one in row.spec.operations
]
FREE = {row.name: row.terms.replay_window for row in CATALOGUE if row.terms.replay is ReplayClass.FREE}
NO_END = "as long as it keeps the contact"
WHY = "a person was forgotten"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """`lists`: the steps that withdraw what had been written of their campaigns."""

    person: Person
    erased: Erased
    lists: Sequence[Step]

    @property
    def left(self) -> list[Step]:
        return [step for step in self.lists if step.state is not StepState.COMPENSATED]

    def as_json(self) -> dict[str, Any]:
        erased = self.erased
        return {
            "leads": [str(lead_id) for lead_id in self.person.ids],
            "campaigns": [_campaign(one) for one in erased.campaigns],
            "erased": {
                "leads": erased.leads,
                "calls": erased.calls,
                "in_flight": erased.in_flight,
                "mentions": erased.mentions,
            },
            "listed": erased.listed,
            "requests_withdrawn": [str(campaign_id) for campaign_id in erased.requests],
            "exports_withdrawn": [url for step in self.lists for url in _withdrawn(step, self.left)],
            "exports_left": [{"campaign_id": str(one.campaign_id), "why": one.error} for one in self.left],
            "vendors": [_vendor(one) for one in erased.asked],
            "namesakes": [str(lead_id) for lead_id in self.person.namesakes],
        }


def forget_person(url: str, who: str) -> Forgotten:
    """May be done again at any time; raises BadInput, OutsideFailure."""
    database, folder = PostgresDatabase(url, longest_outage_s=0), exports_folder()
    exporter = exporter_of(EVERY_KIND, folder, spreadsheet_of(read_settings(settings_path())))
    return asyncio.run(forgotten(database, exporter, folder, who))


async def forgotten(database: PostgresDatabase, exporter: Exporter, folder: Folder, who: str) -> Forgotten:
    async with database.reading() as books:
        forgetting = PostgresForgetting(books.engine, pseudonyms(), ABOUT_COMPANIES)
        person = await forgetting.person(who)
        campaigns = {lead.campaign_id for lead in person.leads}
        erased = await forgetting.forget(person, {one: written(folder, one) for one in campaigns})
        return Forgotten(person, erased, await withdrawn_lists(database, exporter, erased.undo))


async def withdrawn_lists(database: Database, exporter: Exporter, noted: Sequence[str]) -> list[Step]:
    """Tried at once; what cannot be done now is tried again by a sensor, and by the next `phase3 forget`."""
    for run_id in noted:
        await compensate_dead(database, exporter, run_id, WHY)
    async with database.reading() as books:
        return [step for run_id in noted for step in await books.saga.steps(run_id)]


def _campaign(one: Any) -> dict[str, Any]:
    approved = one.status == CampaignStatus.APPROVED
    return {"id": str(one.id), "name": one.name, "status": one.status, "seen_by_phase_4": approved}


def _withdrawn(step: Step, left: Sequence[Step]) -> list[str]:
    return [] if step in left else [export["url"] for export in step.undo["exports"]]


def _vendor(asked: Asked) -> dict[str, Any]:
    """`free_replay_until`: null where a repeat would be billed again, as it always was."""
    until: str | None = None
    if asked.provider in FREE:
        window = FREE[asked.provider]
        until = (asked.last_at + window).isoformat() if window else NO_END
    return {
        "provider": asked.provider,
        "calls": asked.calls,
        "cost_usd": str(asked.cost),
        "last_asked_at": asked.last_at.isoformat(),
        "free_replay_until": until,
    }


def forgotten_table(told: Mapping[str, Any]) -> Table:
    """Which vendors still hold the person: whoever erases them here is to be told there too."""
    table = Table("asked about them", "calls", "USD", "last", "asked again for nothing until")
    table.title = "Vendors who hold this person"
    for one in told["vendors"]:
        until = one["free_replay_until"] or "never"
        shown = until if until in {NO_END, "never"} else until[:10]
        table.add_row(one["provider"], str(one["calls"]), one["cost_usd"], one["last_asked_at"][:19], shown)
    return table


def sentences(told: Mapping[str, Any]) -> list[str]:
    """What was done, and what is left for a person to do."""
    return [_done(told), *_follows(told), *_left(told)]


def _done(told: Mapping[str, Any]) -> str:
    erased, listed = told["erased"], told["listed"]
    return (
        f"Erased: {erased['leads']} leads of {len(told['campaigns'])} campaigns, {erased['calls']} calls, "
        f"{erased['mentions']} mentions elsewhere; amounts stay. "
        f"{listed} entries are new on the suppression list."
    )


def _follows(told: Mapping[str, Any]) -> Iterator[str]:
    if flying := told["erased"]["in_flight"]:
        yield f"{flying} calls were in flight: their price is booked, no answer is kept."
    if requests := told["requests_withdrawn"]:
        yield f"Requests for approval withdrawn: {len(requests)}. Materialize `tier_report` to ask again."
    if exports := told["exports_withdrawn"]:
        yield f"Exports deleted: {len(exports)}. `phase3 export` writes them anew."


def _left(told: Mapping[str, Any]) -> Iterator[str]:
    for one in told["exports_left"]:
        yield f"Exports of campaign {one['campaign_id']} are not deleted yet: {one['why']}"
    if seen := [one["name"] for one in told["campaigns"] if one["seen_by_phase_4"]]:
        yield f"Phase 4 may have read them from `approved_leads`: {', '.join(seen)}. Tell it."
    if namesakes := told["namesakes"]:
        who = ", ".join(namesakes)
        yield f"Same name and company, another address: {who}. If it is the same person, forget them by id."
