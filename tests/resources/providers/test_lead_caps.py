"""A lead's cap over the runs of its campaign, whoever was paid in them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from phase3_core.calls import Hit, Judgement
from phase3_core.ledger import CallLedger
from phase3_core.money import Money, usd
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from resources.providers.client import CAPPED
from resources.providers.open_providers import OpenProviders
from resources.providers.source import VendorSource
from resources.settings import Settings
from resources.settings_tables import ProviderSettings
from tests.fakes.ledger import FRESH
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


async def test_what_is_stale_by_now_is_paid_again_only_within_the_leads_cap() -> None:
    earlier = await bought()
    earlier.time.advance(FRESH.total_seconds())
    again = await later(earlier, "findymail", [answer(FINDYMAIL)], PAID)
    assert (await again.ask(), again.sends) == (CAPPED, 0)
    again = await later(earlier, "findymail", [answer(FINDYMAIL)], usd(1))
    assert (await again.ask(), again.sends) == (Hit(EMAIL), 1)
    another = await later(again, "tomba", [answer(TOMBA)], 2 * PAID)
    assert (await another.ask(), another.sends) == (CAPPED, 0), "both payments count"


async def test_a_found_address_is_verified_with_what_was_kept_free_for_it() -> None:
    reoon = await later(await bought(), "reoon", [answer(REOON)], PAID)
    assert isinstance(await reoon.ask(), Judgement)


OFF = Settings(providers={"findymail": ProviderSettings(enabled=False)})
OTHERS_ALONE = Settings.model_validate({"waterfall": {"order": ["tomba"]}})
HAS_KEY = {"FINDYMAIL_API_KEY": "a-key"}


@pytest.mark.parametrize(
    ("settings", "environment", "told"),
    [
        (Settings(), HAS_KEY, {}),  # it is asked itself
        (Settings(), {}, {"findymail": Hit(EMAIL)}),
        (OFF, HAS_KEY, {"findymail": Hit(EMAIL)}),
        (OTHERS_ALONE, HAS_KEY, {"findymail": Hit(EMAIL)}),
    ],
)
async def test_what_a_finder_was_paid_for_is_told_by_whoever_does_without_it(
    settings: Settings, environment: Mapping[str, str], told: Mapping[str, Hit]
) -> None:
    earlier = await bought()

    @asynccontextmanager
    async def ledger(_books: Books, run: Run) -> AsyncIterator[CallLedger]:
        yield earlier.ledger.of(run)

    source = VendorSource(settings, environment, ledger, earlier.time)
    async with source.open(earlier.ledger.run, cast("Books", None)) as providers:
        assert await providers.recollect({DANA.id: PAID}) == {DANA.id}
        assert await providers.bought(DANA) == told
