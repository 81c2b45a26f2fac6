"""What `phase3 trace` makes of a campaign: every call is a step, with the reason that it had then."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from phase3_assets.tracing import traced
from phase3_core.calls import Role
from resources.postgres.database import PostgresDatabase
from resources.providers.catalogue import CATALOGUE
from resources.settings_tables import TierAmounts, WaterfallSettings
from sandbox.app import Sandbox, serve
from sandbox.faults import Kind
from sandbox.options import Options
from sandbox.people import Person
from sandbox.scenarios import Fate
from tests.stage.stage import Stage, staged

CLEARBIT_IS_AWAY = {"vendor": "clearbit", "kind": Kind.RATE_LIMITED_BARE.value}
TRIES = 3
FINDERS = {f"ask {row.name}" for row in CATALOGUE if row.spec.role is Role.FINDER}
GUESSES = WaterfallSettings()  # as `perform` goes about it
LITTLE_FOR_C = WaterfallSettings(order="cheapest_valid", worth_usd=TierAmounts(C=Decimal("0.001")))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(Options(latency_ms=0, rate_factor=0)) as opened:
        yield opened


async def traces(stage: Stage) -> list[dict[str, Any]]:
    """In the order in which the leads were asked about."""
    play, best_first = stage.play, "lead_tier, lead_score DESC, id"
    leads = stage.query(f"SELECT id FROM leads ORDER BY {best_first}")
    async with PostgresDatabase(play.url).reading() as books:
        return [await traced(books, one["id"], play.source().settings, play.environment) for one in leads]


def names(steps: Sequence[dict[str, Any]]) -> list[str]:
    return [step["step"] for step in steps]


def of_enrichment(trace: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["outcome"] for step in trace["steps"] if "enrichment" in step["agent"]}


def colleagues(sandbox: Sandbox, tier: str, *known_to: str, number: int = 1) -> list[Person]:
    """People of one company that, of those who describe companies, these alone have on file."""
    by_company: dict[str, list[Person]] = {}
    for person in sandbox.parts.world.people:
        known = person.company.known_to & {"clearbit", "apollo", "people_data_labs", "zoominfo"}
        if person.tier == tier and person.fate.accepted and known == set(known_to):
            by_company.setdefault(person.company.domain, []).append(person)
    return next(people[:number] for people in by_company.values() if len(people) >= number)


def nobodys_guess(sandbox: Sandbox, tier: str) -> Person:
    """Known to finders, at an address that no blind guess names."""
    return next(
        person
        for person in sandbox.parts.world.people
        if person.tier == tier and person.fate is Fate.VALID and person.company.pattern == "last.first"
    )


async def test_where_an_address_would_cost_more_than_its_tier_is_worth_no_finder_is_asked(
    sandbox: Sandbox, database_url: str, tmp_path: Path
) -> None:
    people = [nobodys_guess(sandbox, tier) for tier in ("A", "C")]
    stage = await staged(sandbox, database_url, tmp_path, people, web=False, waterfall=LITTLE_FOR_C)
    assert (await stage.perform()).why_not == ""
    worth_any_price, worth_little = await traces(stage)
    assert any(name in FINDERS for name in names(worth_any_price["steps"]))
    assert not any(name in FINDERS for name in names(worth_little["steps"]))
    last = worth_little["steps"][-1]
    assert (last["step"], last["outcome"]) == ("stop", "not_worth")
    assert last["why"].endswith("would cost more than one of this tier is worth")
    paid = f"SELECT DISTINCT provider FROM provider_calls WHERE lead_id = '{worth_little['lead']['id']}'"
    assert stage.query(paid) == [{"provider": "reoon"}]  # guesses alone


async def test_what_an_address_has_cost_leaves_the_cap_on_enriching_alone(
    sandbox: Sandbox, database_url: str, tmp_path: Path
) -> None:
    """Both together would be beyond it."""
    people = colleagues(sandbox, "C", "apollo", "people_data_labs")
    stage = await staged(sandbox, database_url, tmp_path, people, web=False, waterfall=GUESSES)
    dear = replace(stage, play=replace(stage.play, prices={"reoon": Decimal("0.03")}))
    assert (await dear.perform()).why_not == ""
    (trace,) = await traces(dear)
    assert (trace["other_calls"], trace["earlier_steps"]) == ([], [])
    assert "company_description" in of_enrichment(trace)["ask apollo"]
    assert Decimal(trace["costs"]["total_usd"]) > Decimal("0.05")


async def test_who_was_away_for_one_lead_and_answers_the_next_is_traced_as_either_was_told(
    sandbox: Sandbox, database_url: str, tmp_path: Path
) -> None:
    people = colleagues(sandbox, "B", "clearbit", "apollo", number=2)
    stage = await staged(sandbox, database_url, tmp_path, people, web=False, waterfall=GUESSES)
    await stage.break_something({**CLEARBIT_IS_AWAY, "count": TRIES})
    assert (await stage.perform()).why_not == ""
    first, second = await traces(stage)
    assert (first["other_calls"], second["other_calls"]) == ([], [])
    assert of_enrichment(first)["ask clearbit"] == "its service fails"
    assert "company_industry" in of_enrichment(first)["ask apollo"]
    assert "company_industry" in of_enrichment(second)["ask clearbit"]
    assert "ask apollo" not in of_enrichment(second)


async def test_what_was_asked_while_a_lead_waited_is_told_with_its_reason(
    sandbox: Sandbox, database_url: str, tmp_path: Path
) -> None:
    people = colleagues(sandbox, "B", "clearbit")
    stage = await staged(sandbox, database_url, tmp_path, people, web=False, waterfall=GUESSES)
    await stage.break_something({**CLEARBIT_IS_AWAY, "count": None})
    assert (await stage.perform()).why_not == ""
    stage.sandbox.parts.faults.rules.clear()
    assert (await stage.perform()).why_not == ""
    (trace,) = await traces(stage)
    assert trace["other_calls"] == []
    assert "company_industry" in of_enrichment(trace)["ask clearbit"]
    assert names(trace["earlier_steps"]) == ["ask apollo", "ask people_data_labs"]
    for step in trace["earlier_steps"]:
        assert step["why"].startswith("clearbit gave no answer at the time; tier B deserves ")
        assert [call["outcome"] for call in step["calls"]] == ["miss"]
