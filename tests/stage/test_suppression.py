"""Suppressed people and companies in a campaign: nothing about them is in any request that vendors saw."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.suppression import Listed, found
from phase3_core.approval import Channel, Choice
from phase3_core.forgetting import profile_of
from phase3_core.patterns import Pattern, local_part
from phase3_core.ruling import Decided
from phase3_core.runs import Run
from phase3_core.saga import StepKind
from phase3_core.statuses import Agent, ApprovalStatus
from resources.names import mailbox_names
from resources.postgres import ledger
from resources.postgres.database import PostgresDatabase
from resources.postgres.ledger_rows import calls
from resources.settings_tables import WaterfallSettings
from sandbox.app import serve
from sandbox.options import Options
from sandbox.people import Person
from tests.attacks import attack, replaced
from tests.polling import until
from tests.stage.invariants import AT_REST, broken
from tests.stage.stage import Stage, everyone_is_needed, made_by_name, staged

BookCall = Callable[..., None]


@pytest.fixture
async def people_and_stage(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[list[Person], Stage]]:
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people)
        yield people, await staged(sandbox, database_url, tmp_path, people, web=False)


def address_of(person: Person, pattern: Pattern) -> str:
    return f"{local_part(pattern, mailbox_names(person.first, person.last)[0])}@{person.company.domain}"


def seen(stage: Stage) -> str:
    """Everything that vendors were asked, as they counted it and as the ledger wrote it down."""
    questions = [question for _, _, question in stage.sandbox.parts.bill.asked]
    requests = [row["request"] for row in stage.query("SELECT request FROM provider_calls")]
    return json.dumps([questions, requests], ensure_ascii=False).lower()


async def test_nobody_suppressed_is_in_any_request(people_and_stage: tuple[list[Person], Stage]) -> None:
    people, stage = people_and_stage
    by_name, by_domain, below = people[:3], people[3:5], people[5]
    of_below = f"company_domain = '{below.company.domain}'"
    stage.query(f"UPDATE leads SET company_domain = 'mail.' || company_domain WHERE {of_below} RETURNING id")
    await stage.suppress(
        *(address_of(person, pattern) for person, pattern in zip(by_name, Pattern, strict=False)),
        *(person.company.domain for person in (*by_domain, below)),
    )
    assert (await stage.perform()).why_not == ""
    assert (await stage.perform()).why_not == ""
    asked = seen(stage)
    for person in (*by_name, *by_domain, below):
        assert person.company.domain not in asked
        assert not person.linkedin or person.linkedin.lower() not in asked
    others = [person for person in people[6:] if person.company.domain in asked]
    assert len(others) == len(people) - 6
    aside = stage.query("SELECT email, email_status, email_cost FROM leads WHERE suppressed_at IS NOT NULL")
    assert aside == [{"email": None, "email_status": None, "email_cost": None}] * 6
    report = await stage.report()
    assert (report["suppressed"], report["funnel"]["leads"]) == (6, len(people) - 6)
    assert broken(stage, AT_REST) == []


async def test_who_is_suppressed_after_a_run_leaves_the_lists_with_the_next(
    people_and_stage: tuple[list[Person], Stage],
) -> None:
    _, stage = people_and_stage
    assert (await stage.perform()).why_not == ""
    ready = stage.query("SELECT email FROM leads WHERE enrichment_status = 'enriched' LIMIT 1")
    before = await stage.report()
    await stage.suppress(ready[0]["email"])
    assert (await stage.perform()).why_not == ""
    after = await stage.report()
    assert after["funnel"]["ready"] == before["funnel"]["ready"] - 1
    assert (after["suppressed"], after["costs"]) == (1, before["costs"])
    assert broken(stage, AT_REST) == []
    assert after["lead_set"] != before["lead_set"]


async def test_what_a_dead_run_asked_about_a_suppressed_lead_is_in_the_next_report(
    people_and_stage: tuple[list[Person], Stage], book_call: BookCall
) -> None:
    """Nobody asks again; were it booked by the sensors, after the report, nobody could approve."""
    people, stage = people_and_stage
    await stage.suppress(people[0].company.domain)
    dead = Run("dead", stage.play.campaign_id, Agent.EMAIL_VERIFICATION)
    async with PostgresDatabase(stage.play.url).reading() as books:
        await books.saga.note(dead, {StepKind.RESERVATIONS: {}})
    in_flight = {"state": "intent", "outcome": None, "lost_after": "2999-01-01"}
    book_call(dead.campaign_id, **in_flight, run_id="dead", reserved_usd="0.25")
    assert (await stage.perform()).why_not == ""
    before = await stage.report()
    assert stage.booked() == (stage.billed(), Decimal("0.25"))
    stage.query("UPDATE provider_calls SET lost_after = now() WHERE run_id = 'dead' RETURNING key")
    await stage.play.take_back()
    assert (await stage.report())["costs"] == before["costs"]
    approved = Choice(ApprovalStatus.APPROVED_FULL, "dana", Channel.COMMAND_LINE, "")
    async with PostgresDatabase(stage.play.url).reading() as books:
        decided = await books.approvals.decide(dead.campaign_id, approved)
    assert isinstance(decided, Decided)


@attack(
    "People",
    "Somebody is put on the suppression list while a run works on leads that it has read already",
    defence="The list is looked at in the transaction that reserves a call, not when leads are read",
    without=replaced((ledger, "calls", lambda asked: calls(asked) | {"subjects": [""] * len(asked)})),
)
async def test_who_is_suppressed_while_a_run_is_at_work_is_in_no_later_request(
    people_and_stage: tuple[list[Person], Stage],
) -> None:
    people, stage = people_and_stage
    running = asyncio.ensure_future(stage.perform())
    await until(lambda: stage.sandbox.parts.bill.asked, every_s=0.001)
    await stage.suppress(*(person.company.domain for person in people))
    (moment,) = stage.query("SELECT clock_timestamp() AS since")
    assert (await running).why_not == ""
    assert stage.query(f"SELECT request FROM provider_calls WHERE asked_at > '{moment['since']}'") == []
    report = await stage.report()
    assert (report["suppressed"], report["funnel"]["leads"]) == (len(people), 0)
    assert stage.booked() == (stage.billed(), Decimal(0))


async def test_a_suppressed_address_that_a_finder_tells_of_is_not_verified_and_not_kept(
    people_and_stage: tuple[list[Person], Stage],
) -> None:
    people, stage = people_and_stage
    odd = [person for person in people if person.finders and not made_by_name(person)][:1]
    assert odd, "somebody whose address no pattern makes"
    (person,) = odd
    await stage.suppress(person.email)
    for _ in range(2):
        assert (await stage.perform()).why_not == ""
        assert person.email not in seen(stage)
        (row,) = stage.query(
            "SELECT email, email_status, suppressed_at FROM leads "
            f"WHERE company_domain = '{person.company.domain}'"
        )
        assert (row["email"], row["email_status"]) == (None, None)
        assert row["suppressed_at"] is not None


@pytest.mark.slow
async def test_at_a_hundredth_of_the_campaign_nobody_listed_is_in_any_request(
    database_url: str, tmp_path: Path
) -> None:
    """With guesses, shared companies and bulk; the whole campaign is `python -m benchmarks.suppression`."""
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = sandbox.parts.world.people
        able = [one for one in people if one.email and made_by_name(one)]
        listed = able[:: len(able) // 20][:20]
        domain = next(one.company.domain for one in people if one.company not in {p.company for p in listed})
        guessing = WaterfallSettings()
        stage = await staged(sandbox, database_url, tmp_path, people, web=False, waterfall=guessing)
        stage = replace(stage, play=replace(stage.play, bulk="always"))
        await stage.suppress(*(one.email for one in listed), domain)
        assert (await stage.perform()).why_not == ""
        told = [as_listed(one) for one in listed]
        questions = [question for _, _, question in stage.sandbox.parts.bill.asked]
        questions += [charge.question for charge in stage.sandbox.parts.bill.charges]
        questions += [json.dumps(one) for one in stage.query("SELECT request FROM provider_calls")]
        assert list(found(told, [domain], questions)) == []
        others = [as_listed(one) for one in able if one not in listed]
        assert len(list(found(others, [], questions))) > len(others), "the search finds who was asked about"


def as_listed(person: Person) -> Listed:
    names = person.first.lower(), person.last.lower()
    return Listed(*names, person.company.domain, person.email.lower(), profile_of(person.linkedin))
