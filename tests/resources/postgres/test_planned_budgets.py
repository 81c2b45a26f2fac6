"""What an estimate takes for the budgets: those that a run holds to, or would; it writes none."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from phase3_core.budget import Budget, Caps
from phase3_core.ledger import End
from phase3_core.money import usd
from phase3_core.tiers import Tier
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.database import driver_url
from resources.postgres.planned_budgets import PlannedBudgets
from tests.resources.postgres.runs import Runs
from tests.resources.postgres.test_budgets import (
    CAMPAIGN,
    Query,
    a_day,
    at_work,
    begun,
    by_lead,
    caps,
    granted,
    sums,
)
from tests.resources.postgres.test_ledger import CEILING, PRICE, ended, hit


@pytest.fixture
async def read_only(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(
        driver_url(database_url), connect_args={"options": "-c default_transaction_read_only=on"}
    )
    yield engine
    await engine.dispose()


async def planned(engine: AsyncEngine, given: Caps) -> list[Budget]:
    return await PlannedBudgets(engine, given).of(CAMPAIGN)


def capped(budgets: list[Budget]) -> dict[str, str]:
    return {budget.provider or budget.name: str(budget.cap.normalize()) for budget in budgets}


async def test_budgets_are_planned_as_a_run_would_open_them(
    runs: Runs, read_only: AsyncEngine, query: Query
) -> None:
    book = await begun(runs)
    await book.settle(hit((await granted(book, by_lead(1))).key, PRICE))
    await book.settle(ended((await granted(book, by_lead(2))).key, End.LOST))
    await granted(book, by_lead(3, tier=Tier.A))
    given = caps("0.05", tiers={Tier.A: usd("0.03"), Tier.C: usd(1)}, daily={"tomba": usd(4)})
    foreseen = await planned(read_only, given)
    assert sums(query) == [], "nothing is written"
    await PostgresBudgets(runs.engine).open(CAMPAIGN, given)
    assert foreseen == await PostgresBudgets(runs.engine).of(CAMPAIGN)
    emails, tier_a, _, day = foreseen
    assert (emails.spent, emails.reserved) == (day.spent, day.reserved) == (PRICE + CEILING, CEILING)
    assert (tier_a.spent, tier_a.reserved) == (usd(0), CEILING)


async def test_beside_a_run_its_own_caps_count_and_stay(
    runs: Runs, engine: AsyncEngine, read_only: AsyncEngine, query: Query
) -> None:
    async with at_work(engine, CAMPAIGN):
        await begun(runs, caps("0.01", daily={"tomba": usd(2)}))
        stood = sums(query)
        wider = caps("5", tiers={Tier.A: usd(1)}, daily={"tomba": usd(9), "reoon": usd(3)})
        assert capped(await planned(read_only, wider)) == {
            "email_verification": "0.01",
            "reoon": "3",
            "tomba": "2",
        }
        assert capped(await planned(read_only, Caps())) == {"email_verification": "0.01", "tomba": "2"}
        assert sums(query) == stood


async def test_of_what_an_ended_run_held_to_nothing_counts(runs: Runs, read_only: AsyncEngine) -> None:
    await begun(runs, caps("0.01", daily={"tomba": usd(2)}))
    assert await planned(read_only, Caps()) == []
    assert capped(await planned(read_only, caps("5"))) == {"email_verification": "5"}


async def test_the_lowest_cap_on_a_providers_day_counts_while_anybody_is_at_work(
    runs: Runs, engine: AsyncEngine, read_only: AsyncEngine
) -> None:
    other = uuid4()
    async with at_work(engine, other):
        await begun(runs, a_day("2"), other)
        for given, counts in ((a_day("9"), "2"), (a_day("1"), "1"), (Caps(), "2")):
            assert capped(await planned(read_only, given)) == {"tomba": counts}


async def test_a_cap_that_was_reached_is_told_as_reached_unless_it_changed(
    runs: Runs, read_only: AsyncEngine
) -> None:
    book = await begun(runs, caps("0.012"))
    await book.settle(hit((await granted(book, by_lead(1))).key, PRICE))
    await book.open(by_lead(2))
    assert [budget.reached for budget in await planned(read_only, caps("0.012"))] == [True]
    assert [budget.reached for budget in await planned(read_only, caps("5"))] == [False]
