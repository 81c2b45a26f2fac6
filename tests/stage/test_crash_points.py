"""One lead, or a task of them, and a process that dies at every statement and every request: the next run
ends the same.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from phase3_core.calls import ReplayClass
from phase3_core.money import ZERO
from resources.providers.catalogue import row
from resources.providers.verifiers.reoon_tasks import BULK
from resources.settings_tables import WaterfallSettings
from sandbox.app import serve
from sandbox.options import Options
from sandbox.people import Person
from sandbox.scenarios import Fate
from tests.conftest import Server
from tests.polling import until
from tests.stage.invariants import broken, sums_that_differ
from tests.stage.killing import Edge, perform
from tests.stage.left_behind import left_behind
from tests.stage.stage import (
    NO_GUESSES,
    Bulk,
    Ended,
    Stage,
    everyone_is_needed,
    made_by_name,
    staged,
)

pytestmark = pytest.mark.slow

NOT_NOTED = 7  # the edge at which the vendor has taken the task, and nobody has written down its number
PARTS = 8  # of the edges of one lead, each for one test


@dataclass(frozen=True)
class Theatre:
    """Where the same lead begins anew as often as it is killed."""

    server: Server
    template: str
    folder: Path
    kind: str

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[Stage]:
        name = f"phase3_crash_{uuid4().hex[:12]}"
        url = self.server.make(name, self.template)
        try:
            async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
                kind, folder = KINDS[self.kind], self.folder
                leads = kind.leads_among(sandbox.parts.world.people)
                stage = await staged(
                    sandbox, url, folder, leads, web=False, waterfall=kind.waterfall, delivered=kind.delivered
                )
                yield replace(stage, play=replace(stage.play, bulk=kind.bulk))
        finally:
            self.server.drop(name)


@dataclass(frozen=True, slots=True)
class Kind:
    """So many leads of whom this is true, and what they are asked for."""

    is_one: Callable[[Person], bool]
    leads: int = 1
    delivered: bool = False
    waterfall: WaterfallSettings = NO_GUESSES
    bulk: Bulk = "auto"

    def leads_among(self, people: list[Person]) -> list[Person]:
        leads = [one for one in everyone_is_needed(people) if self.is_one(one)][: self.leads]
        assert len(leads) == self.leads
        return leads


def _valid(one: Person) -> bool:
    return one.fate is Fate.VALID


KINDS = {
    "found late": Kind(lambda one: one.finders[:1] == ("anymailfinder",) and one.fate.accepted),
    "catch-all": Kind(lambda one: one.company.catch_all and one.fate.accepted),
    "unknown": Kind(lambda one: not one.finders),
    "delivered": Kind(_valid, delivered=True),
    "guessed": Kind(lambda one: _valid(one) and made_by_name(one), waterfall=WaterfallSettings()),
    "in bulk": Kind(_valid, leads=BULK.least, delivered=True, bulk="always"),
}


async def resumed(stage: Stage) -> Ended:
    """How the next run ends. Until the server has noticed the death, the campaign is the dead one's."""

    async def ended() -> Ended | None:
        run = await stage.perform()
        return None if run.why_not.startswith("Another run") else run

    found: Ended = await until(ended)
    return found


def assert_right(stage: Stage, usual: Any, cost: Decimal, at_once: int, where: str) -> None:
    """Same row and same cost, but for what was in flight at a vendor that must not be asked again."""
    assert broken(stage) == [], where
    lost = stage.query("SELECT provider, losses FROM provider_calls WHERE losses > 0")
    assert len(lost) <= at_once, where
    if all(row(call["provider"]).terms.replay is not ReplayClass.PER_CALL for call in lost):
        assert stage.rows() == usual, where
    if not lost:
        assert stage.booked() == (cost, ZERO), where


async def assert_survived(theatre: Theatre, edge: Edge, at_of: Callable[[int], range]) -> None:
    """Killed at these of so many edges, and then run to its end, wherever it left behind what is new."""
    survived: set[bytes] = set()
    async with theatre.stage() as stage:
        edges = (await perform(stage.play, edge)).edges
        usual, (cost, unknown) = stage.rows(), stage.booked()
        assert unknown == 0
    for at in at_of(edges):
        async with theatre.stage() as stage:
            await perform(stage.play, edge, at)
            if (left := await left_behind(stage)) in survived:
                continue
            assert (await resumed(stage)).why_not == ""
            where = f"{theatre.kind}, killed at {edge} {at} of {edges}"
            assert_right(stage, usual, cost, KINDS[theatre.kind].leads, where)
            assert await sums_that_differ(stage) == [], where
            survived.add(left)


def part_of(edges: int, part: int) -> range:
    """Neighbours, for most of them leave the same behind."""
    return range(1 + edges * part // PARTS, 1 + edges * (part + 1) // PARTS)


async def test_two_deaths_are_one_only_where_they_left_the_same_behind(
    postgres: Server, template: str, tmp_path: Path
) -> None:
    left: list[bytes] = []
    for at in (20, 20, 22):
        async with Theatre(postgres, template, tmp_path, "catch-all").stage() as stage:
            await perform(stage.play, Edge.CALL, at)
            left.append(await left_behind(stage))
    assert left[0] == left[1] != left[2]


@pytest.mark.parametrize(("kind", "first", "every"), [("catch-all", 1, 5), ("in bulk", NOT_NOTED, 120)])
async def test_killed_around_calls_the_next_run_ends_the_same(
    kind: str, first: int, every: int, postgres: Server, template: str, tmp_path: Path
) -> None:
    theatre = Theatre(postgres, template, tmp_path, kind)
    await assert_survived(theatre, Edge.CALL, lambda edges: range(first, edges + 1, every))


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edge", Edge)
async def test_killed_anywhere_the_next_run_ends_the_same(
    kind: str, edge: Edge, part: int, postgres: Server, template: str, tmp_path: Path
) -> None:
    theatre = Theatre(postgres, template, tmp_path, kind)
    await assert_survived(theatre, edge, lambda edges: part_of(edges, part))
