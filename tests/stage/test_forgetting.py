"""A person is forgotten, at rest and under a run: nothing names them any more, and the money adds up."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from phase3_assets.forgetting import Forgotten, forgotten
from resources.exports.campaign_exports import EVERY_KIND, exporter_of
from resources.exports.files import Folder
from resources.forget_key import FORGET_KEY
from resources.postgres import forgetting
from resources.postgres.database import PostgresDatabase
from sandbox.app import serve
from sandbox.options import Options
from sandbox.people import Person
from tests.attacks import attack, replaced
from tests.polling import until
from tests.stage.invariants import AT_REST, broken
from tests.stage.stage import Stage, everyone_is_needed, staged

KEY = "0123456789abcdef" * 4
MONEY = """
SELECT provider, agent, tier, sum(cost_usd) AS cost, count(*) FROM provider_calls
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORGET_KEY, KEY)


@pytest.fixture
async def people_and_stage(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[list[Person], Stage]]:
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people)
        stage = await staged(sandbox, database_url, tmp_path, people, web=False)
        yield people, keyed(stage)


def keyed(stage: Stage) -> Stage:
    """As a process whose environment has the key."""
    stage.play.environment[FORGET_KEY] = KEY  # type: ignore[index] # a dict, which plays only read
    return stage


async def forget(stage: Stage, who: str) -> Forgotten:
    folder = Folder(stage.play.folder)
    return await forgotten(PostgresDatabase(stage.play.url), exporter_of(EVERY_KIND, folder), folder, who)


def everything(stage: Stage) -> str:
    """Every row of every table, as text."""
    tables = stage.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [stage.query(f"SELECT t::text AS row FROM {one['tablename']} AS t") for one in tables]
    return json.dumps(rows, ensure_ascii=False).lower()


def named_in(text: str, person: Person) -> list[str]:
    profile = re.sub(r".*linkedin\.com", "linkedin.com", person.linkedin.lower())
    words = (person.email, f"{person.first} {person.last}", profile)
    return [word for word in words if word and word.lower() in text]


def known_to_many(people: list[Person], stage: Stage) -> Person:
    """Somebody who was found, verified and enriched."""
    ready = {
        row["email"] for row in stage.query("SELECT email FROM leads WHERE enrichment_status = 'enriched'")
    }
    return next(person for person in people if person.email in ready and person.linkedin)


async def left_alone(connection: object, ids: Sequence[UUID]) -> int:
    del connection
    return len(ids)


@attack(
    "People",
    "A person who asked to be forgotten is found in answers of vendors, lists, reports, logs or messages",
    defence="`phase3 forget` erases leads and calls, rewords mentions, withdraws lists and requests",
    without=replaced((forgetting, "erase_leads", left_alone)),
)
async def test_nothing_names_who_is_forgotten_and_every_amount_stays(
    people_and_stage: tuple[list[Person], Stage],
) -> None:
    people, stage = people_and_stage
    assert (await stage.perform()).why_not == ""
    person = known_to_many(people, stage)
    assert named_in(everything(stage), person)
    exports = list(stage.play.folder.glob("phase3-*"))
    before, report = stage.query(MONEY), await stage.report()
    told = (await forget(stage, person.email.upper())).as_json()
    assert named_in(everything(stage), person) == []
    assert stage.query(MONEY) == before
    assert (await stage.report())["costs"] == report["costs"]
    assert (told["erased"]["leads"], told["requests_withdrawn"]) == (1, [str(stage.play.campaign_id)])
    assert exports
    assert not list(stage.play.folder.glob("phase3-*"))
    assert told["exports_left"] == []
    assert broken(stage, AT_REST) == []


async def test_the_answer_tells_which_vendors_hold_the_person_and_how_long_a_repeat_is_free(
    people_and_stage: tuple[list[Person], Stage],
) -> None:
    people, stage = people_and_stage
    assert (await stage.perform()).why_not == ""
    person = known_to_many(people, stage)
    first, second = [(await forget(stage, person.email)).as_json() for _ in range(2)]
    vendors = {one["provider"]: one["free_replay_until"] for one in first["vendors"]}
    assert {"tomba", "reoon"} <= vendors.keys()
    assert not vendors.keys() & {"brave", "clearbit", "website"}
    assert vendors["reoon"] is None
    assert vendors["tomba"]
    assert (second["vendors"], second["leads"]) == (first["vendors"], first["leads"])
    assert (second["erased"]["leads"], second["erased"]["calls"], second["listed"]) == (0, 0, 0)


async def test_who_is_forgotten_is_not_asked_about_when_imported_again(
    people_and_stage: tuple[list[Person], Stage], tmp_path: Path
) -> None:
    people, stage = people_and_stage
    assert (await stage.perform()).why_not == ""
    person = known_to_many(people, stage)
    assert (await forget(stage, person.email)).erased.leads == 1
    again = keyed(await staged(stage.sandbox, stage.play.url, tmp_path, [person], web=False, place=1))
    before = stage.sandbox.parts.bill.asked.copy()
    assert (await again.perform()).why_not == ""
    (lead,) = again.query(f"SELECT * FROM leads WHERE campaign_id = '{again.play.campaign_id}'")
    assert (lead["suppressed_at"] is None, lead["email"]) == (False, None)
    asked = json.dumps([question for *_, question in stage.sandbox.parts.bill.asked - before])
    assert person.company.domain not in asked.lower()
    requests = json.dumps(again.query("SELECT request FROM provider_calls"))
    assert named_in(requests.lower(), person) == []


async def test_who_is_forgotten_under_a_run_stays_so_and_the_bill_is_booked(
    people_and_stage: tuple[list[Person], Stage],
) -> None:
    people, stage = people_and_stage
    person = next(one for one in people if one.fate.accepted and one.finders)
    where = f"company_domain = '{person.company.domain}'"
    (lead,) = stage.query(f"SELECT id FROM leads WHERE {where}")
    running = asyncio.ensure_future(stage.perform())
    calls = f"SELECT FROM provider_calls WHERE lead_id = '{lead['id']}'"
    await until(lambda: running.done() or stage.query(calls), every_s=0.001)
    told = await forget(stage, str(lead["id"]))
    assert (await running).why_not == ""
    again = await forget(stage, str(lead["id"]))
    assert named_in(everything(stage), person) == []
    assert (told.erased.leads, again.erased.leads, again.left) == (1, 0, [])
    assert stage.booked() == (stage.billed(), Decimal(0))
    assert not list(stage.play.folder.glob("phase3-*"))
