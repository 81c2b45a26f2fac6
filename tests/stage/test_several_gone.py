"""Several vendors are gone at once: a campaign ends with what is left, and tells who was missing."""

from collections.abc import AsyncIterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from phase3_core.calls import Role
from phase3_core.statuses import ACCEPTED
from sandbox.app import serve
from sandbox.faults import Kind
from sandbox.options import Options
from sandbox.people import Person
from tests.stage.invariants import broken, sums_that_differ
from tests.stage.stage import Stage, everyone_is_needed, staged

pytestmark = pytest.mark.slow

LEFT = "anymailfinder"
REFUSED, FAILING = Kind.UNAUTHORIZED, Kind.SERVER_ERROR


def names(stage: Stage, role: Role) -> list[str]:
    """The sandbox's vendors that a run would ask, in waterfall order."""
    usable = (one.row for one in stage.play.source().roster.entries() if not one.why_not)
    asked = dict.fromkeys(row.name for row in usable if row.spec.role is role)
    return [name for name in asked if name in stage.sandbox.parts.vendors]


async def take_away(stage: Stage, vendors: Sequence[str]) -> dict[str, Kind]:
    """By turns the key is refused and the service fails."""
    gone = dict(zip(vendors, cycle([REFUSED, FAILING]), strict=False))
    for vendor, kind in gone.items():
        await stage.break_something({"vendor": vendor, "kind": kind.value, "count": None})
    return gone


@pytest.fixture
async def people_and_stage(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[list[Person], Stage]]:
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people)
        yield people, await staged(sandbox, database_url, tmp_path, people, web=False)


async def reported(stage: Stage) -> dict[str, Any]:
    """After a run, which has come to its report and kept every promise."""
    ended = await stage.perform()
    assert ended.why_not == ""
    assert stage.is_done()
    assert [*broken(stage), *await sums_that_differ(stage)] == []
    return await stage.report()


def assert_told(report: dict[str, Any], gone: dict[str, Kind]) -> None:
    """All who were gone; leads wait for those that may come back by themselves."""
    assert gone.keys() <= {row["provider"] for row in report["skipped"]}
    waits = [row for row in report["waiting_for"] if row["leads"] and row["until"]]
    waited_for = {row["provider"].partition(":")[0] for row in waits}
    assert waited_for
    assert waited_for <= {name for name, kind in gone.items() if kind is FAILING}


def nobody_waits(report: dict[str, Any]) -> bool:
    return not any(report["waiting"].values()) and not report["waiting_for"]


async def test_with_one_finder_left_its_addresses_are_verified_and_the_others_are_told_of(
    people_and_stage: tuple[list[Person], Stage],
) -> None:
    people, stage = people_and_stage
    gone = await take_away(stage, [name for name in names(stage, Role.FINDER) if name != LEFT])
    assert len(gone) == 6
    report = await reported(stage)
    assert_told(report, gone)
    known = {one.email for one in people if LEFT in one.finders and one.fate.accepted}
    found = {email for email, status, *_ in stage.rows().values() if status in ACCEPTED}
    assert found == known
    waiting = sum(status is None for _, status, *_ in stage.rows().values())
    assert report["waiting"]["verification"] == waiting > 0
    stage.sandbox.parts.faults.rules.clear()
    then = await reported(stage)
    assert nobody_waits(then)
    assert then["funnel"]["accepted"] > len(known)


async def test_without_any_enricher_addresses_are_delivered_and_the_rest_waits(
    people_and_stage: tuple[list[Person], Stage],
) -> None:
    people, stage = people_and_stage
    gone = await take_away(stage, names(stage, Role.ENRICHER))
    assert len(gone) == 6
    report = await reported(stage)
    assert_told(report, gone)
    assert report["funnel"]["accepted"] == sum(one.fate.accepted for one in people) > 0
    assert report["funnel"]["enriched"] == 0
    undescribed = [how for _, status, _, how in stage.rows().values() if status in ACCEPTED]
    assert report["waiting"]["enrichment"] == undescribed.count(None) > 0
    stage.sandbox.parts.faults.rules.clear()
    then = await reported(stage)
    assert nobody_waits(then)
    assert then["funnel"]["enriched"] > 0
