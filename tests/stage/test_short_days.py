"""A campaign whose first finder has too short a day: what was estimated beside what then happened."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from resources.estimates import LedgerEstimates
from resources.postgres.database import PostgresDatabase
from resources.settings_tables import WaterfallSettings
from sandbox.app import serve
from sandbox.limits import Quota
from sandbox.options import Options
from tests.stage.quotas import NEXT_DAY
from tests.stage.stage import Stage, staged

TODAY = 5  # calls of the first finder
SHORT = {"tomba": Quota(per_day=TODAY)}
EVERY = 7  # one of so many people of the sandbox's world
FINDING = ("TOMBA", "FINDYMAIL", "REOON", "MAILVERIFY")  # enrichment has no part in it
ASKED = "SELECT provider, count(*) AS calls FROM provider_calls WHERE agent = 'email_verification' GROUP BY 1"
UNFINISHED = "SELECT count(*) AS leads FROM leads WHERE email_status IS NULL"


@pytest.fixture
async def stage(
    database_url: str, tmp_path: Path, routing: Literal["first", "earliest"]
) -> AsyncIterator[Stage]:
    two_finders = WaterfallSettings(order=("tomba", "findymail"), routing=routing)
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = sandbox.parts.world.people[::EVERY]
        stage = await staged(sandbox, database_url, tmp_path, people, web=False, waterfall=two_finders)
        ours = {key: value for key, value in stage.play.environment.items() if key.startswith(FINDING)}
        yield replace(stage, play=replace(stage.play, environment=ours, quotas=SHORT))


async def told(stage: Stage) -> dict[str, Any]:
    play = stage.play
    async with PostgresDatabase(play.url).reading() as books:
        foresight = LedgerEstimates(play.source().settings, play.environment)
        return (await foresight.of(play.campaign_id, books)).as_json()


def expected(told: Mapping[str, Any]) -> dict[str, int]:
    return {
        one["provider"]: one["calls"] for one in told["providers"] if one["agent"] == "email_verification"
    }


def asked(stage: Stage) -> dict[str, int]:
    return {row["provider"]: row["calls"] for row in stage.query(ASKED)}


async def a_day(stage: Stage) -> int:
    """A run and the night after it; leads that wait for the next."""
    ended = await stage.perform()
    assert ended.why_not == ""
    [[row], _] = stage.query_all(UNFINISHED, NEXT_DAY)
    return int(row["leads"])


@pytest.mark.parametrize("routing", ["first", "earliest"])
async def test_leads_go_on_to_the_next_finder_and_come_back_as_estimated(stage: Stage) -> None:
    first, waiting, days = await told(stage), await a_day(stage), 1
    second, on_the_first_day = await told(stage), asked(stage)
    while waiting:
        waiting, days = await a_day(stage), days + 1
    assert (first["days"], second["days"]) == (days, days - 1) == (3, 2)
    in_all = asked(stage)
    assert on_the_first_day["tomba"] == TODAY
    assert expected(first) == pytest.approx(in_all, abs=3)
    later = {name: in_all[name] - calls for name, calls in on_the_first_day.items()}
    assert {name: expected(second).get(name, 0) for name in later} == pytest.approx(later, abs=3)
    low, high = (Decimal(first["cost_usd"][end]) for end in ("low", "high"))
    assert low <= sum(stage.booked()) <= high
