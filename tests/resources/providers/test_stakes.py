"""What a vendor's repeats put at stake: what the ledger has seen of it, shrunk to what is usual."""

import pytest

from phase3_core.calls import ReplayClass
from phase3_core.market import ENRICHERS, FINDERS
from phase3_core.money import usd
from phase3_core.record import Count
from phase3_core.tiers import Tier
from resources.providers.catalogue import row
from resources.providers.roster import Roster
from resources.providers.stakes import Stakes, stakes_of
from resources.settings import Settings
from tests.fakes.books import FakeDatabase

KEYS = {"FINDYMAIL_API_KEY": "k", "APOLLO_API_KEY": "k", "REOON_API_KEY": "k"}
TOLERATED = {Tier.C: usd("0.005")}


async def stakes(**billed: Count) -> dict[str, Stakes]:
    database = FakeDatabase()
    database.tables.billed = billed
    async with database.reading() as books:
        return await stakes_of(Roster(Settings(), KEYS).entries(), TOLERATED, books)


async def test_of_whom_the_ledger_knows_nothing_the_usual_share_is_expected_to_be_billed() -> None:
    assert await stakes() == {
        "findymail": Stakes(FINDERS.hit_rate(0), TOLERATED),
        "apollo": Stakes(ENRICHERS.hit_rate(0), TOLERATED),
    }


async def test_whom_the_ledger_knows_well_is_expected_to_bill_as_it_did() -> None:
    seen = await stakes(findymail=Count(100, 1_000), apollo=Count(1, 2))
    assert seen["findymail"].billed_share == pytest.approx(0.1, abs=0.02)
    assert seen["apollo"].billed_share == pytest.approx(ENRICHERS.hit_rate(0), abs=0.02)


async def test_a_repeat_is_weighed_for_the_tiers_that_have_a_worth() -> None:
    findymail = (await stakes())["findymail"]
    replays = [findymail.replay(row("findymail").terms, tier) for tier in (Tier.A, Tier.C)]
    assert replays == [ReplayClass.ON_HIT, ReplayClass.PER_CALL]
