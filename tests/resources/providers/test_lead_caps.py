"""A lead's cap over the runs of its campaign, whoever was paid in them."""

from collections.abc import Sequence

from phase3_core.calls import Hit, Judgement
from phase3_core.money import Money, usd
from resources.providers.client import CAPPED
from resources.providers.open_providers import OpenProviders
from tests.resources.providers.sheet import DANA, EMAIL, FINDYMAIL, REOON, TOMBA
from tests.resources.providers.vendor import Step, Vendor, answer

PAID = usd("0.0198")  # for what Findymail found


async def bought() -> Vendor:
    vendor = Vendor("findymail", (answer(FINDYMAIL),))
    assert await vendor.ask() == Hit(EMAIL)
    assert vendor.ledger.booked == PAID
    return vendor


async def later(earlier: Vendor, name: str, steps: Sequence[Step], cap: Money) -> Vendor:
    """Another provider, in the next run of the campaign, which has read what its leads have cost."""
    vendor = Vendor(name, steps, time=earlier.time)
    vendor.ledger = earlier.next_run().ledger
    vendor._begin()
    providers = OpenProviders([], [], [], [], vendor.ledger, vendor.client.tally)
    await providers.recollect({DANA.id: cap})
    return vendor


async def test_nobody_is_paid_beyond_a_leads_cap_with_what_earlier_runs_paid() -> None:
    tomba = await later(await bought(), "tomba", [answer(TOMBA)], PAID)
    assert (await tomba.ask(), tomba.sends) == (CAPPED, 0)


async def test_what_stays_within_a_leads_cap_with_what_earlier_runs_paid_is_bought() -> None:
    tomba = await later(await bought(), "tomba", [answer(TOMBA)], usd(1))
    assert (await tomba.ask(), tomba.sends) == (Hit(EMAIL, 94), 1)


async def test_what_earlier_runs_bought_is_answered_whatever_the_cap() -> None:
    again = await later(await bought(), "findymail", [answer(FINDYMAIL)], usd(0))
    assert (await again.ask(), again.sends) == (Hit(EMAIL), 0)


async def test_a_found_address_is_verified_with_what_was_kept_free_for_it() -> None:
    reoon = await later(await bought(), "reoon", [answer(REOON)], PAID)
    assert isinstance(await reoon.ask(), Judgement)
