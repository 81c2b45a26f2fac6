"""The cheaper of two finders is out and comes back: leads wait for it where the other is too dear."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from phase3_core.breaker import FAILURES_IN_A_ROW, OPEN_S, Failed
from resources.assembly import postgres_breakers
from resources.postgres.breakers import PostgresBreakers
from resources.postgres.database import PostgresDatabase
from resources.providers.standing import NO_SERVICE
from resources.settings_tables import WaterfallSettings
from sandbox.app import Sandbox, serve
from sandbox.options import Options
from sandbox.people import Person
from sandbox.scenarios import Fate
from tests.stage.age import Age, grow_old
from tests.stage.invariants import broken, terms_of
from tests.stage.stage import Stage, staged

CHEAP, DEAR, VERIFIER = "tomba", "voila_norbert", "reoon"
KEYS = tuple(name.upper() for name in (CHEAP, DEAR, VERIFIER))
LEADS = 4
DEARER_USD = Decimal("0.005")  # asking the dear one first is expected to cost 0.0087 more


def known_to_both(sandbox: Sandbox) -> list[Person]:
    people = (one for one in sandbox.parts.world.people if one.fate is Fate.VALID)
    by_company = {one.company.domain: one for one in people if {CHEAP, DEAR} <= set(one.finders)}
    return list(by_company.values())[:LEADS]


@pytest.fixture
async def stage(database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    in_turn = WaterfallSettings(order=(CHEAP, DEAR), wait_if_dearer_usd=DEARER_USD, guessing=False)
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = known_to_both(sandbox)
        stage = await staged(sandbox, database_url, tmp_path, people, web=False, waterfall=in_turn)
        ours = {key: value for key, value in stage.play.environment.items() if key.startswith(KEYS)}
        play = replace(stage.play, environment=ours, breakers=postgres_breakers)
        yield replace(stage, play=play)


async def another_run_finds_it_out(stage: Stage) -> None:
    """At calls of its own: those of the leads here are not lost."""
    async with PostgresDatabase(stage.play.url).reading() as books:
        failures = [Failed("HTTP 500")] * FAILURES_IN_A_ROW
        await PostgresBreakers(books.engine).tell({CHEAP: failures}, [CHEAP])


def price(name: str) -> Decimal:
    return terms_of(name).terms.price.ceiling


async def test_leads_wait_for_a_finder_that_is_out_and_cost_what_it_costs_when_it_is_back(
    stage: Stage,
) -> None:
    await another_run_finds_it_out(stage)
    assert (await stage.perform()).why_not == ""
    waits = {(wait["provider"], wait["why"], wait["leads"]) for wait in (await stage.report())["waiting_for"]}
    assert waits == {(CHEAP, NO_SERVICE, LEADS)}
    assert stage.sandbox.parts.bill.asked == {}
    grow_old(stage.play.url, OPEN_S, Age())
    assert (await stage.perform()).why_not == ""
    found = {(email, status, finder) for email, status, finder, _ in stage.rows().values()}
    assert found == {(one.email, "valid", CHEAP) for one in known_to_both(stage.sandbox)}
    assert stage.booked() == (LEADS * (price(CHEAP) + price(VERIFIER)), Decimal(0))
    assert broken(stage) == []
