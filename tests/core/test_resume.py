"""An interrupted campaign ends in the same rows and the same cost as one that was left alone."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phase3_core.calls import FinderReply, Gap, Hit, Miss, NoAnswer, VerifierReply
from phase3_core.errors import OutsideFailure
from phase3_core.money import ZERO
from phase3_core.policy import Ordering, Policy, Routing
from phase3_core.rates import Seen
from phase3_core.record import Record
from phase3_core.statuses import CampaignStatus, EmailStatus
from tests.core.office import ANY_NUMBER, Office, an_office, ledger_down, shuffled, then
from tests.core.world import World
from tests.fakes.bills import Bill
from tests.fakes.books import Row
from tests.fakes.people import CAMPAIGN, a_lead
from tests.fakes.providers import finder, verifier

SEEDS = st.integers(0, 10**6)
WORLDS = st.builds(World, SEEDS, st.just(24), st.sampled_from([1, 2, 4, 12]))
HOW = st.sampled_from(["cancelled", "failed", "died"])


AS_LISTED = Policy(ANY_NUMBER, leads_in_flight=64)
BY_COST = replace(AS_LISTED, ordering=Ordering.CHEAPEST_VALID, routing=Routing.EARLIEST)


@cache
def left_alone(world: World, *, by_cost: bool = False) -> tuple[list[Row], list[Bill]]:
    """One lead after another: nothing happens at the same time."""
    office = world.office()
    office.policy = replace(BY_COST if by_cost else AS_LISTED, leads_in_flight=1)
    asyncio.run(office.verify())
    return office.rows, office.bills


async def interrupted(office: Office, at_question: int, how: str) -> None:
    """One run that ends at this question, if there are so many."""
    task = asyncio.ensure_future(office.verify(f"run-{at_question}"))

    def died() -> None:
        office.database.tables.gone = True
        ledger_down()

    def cancelled() -> None:
        task.cancel()

    blow = {"cancelled": cancelled, "failed": ledger_down, "died": died}[how]
    undisturbed = office.source.pause
    office.source.pause = then(undisturbed, at_question, blow)
    with suppress(OutsideFailure, asyncio.CancelledError):
        await task
    office.source.pause = undisturbed
    office.database.tables.gone = False


def nothing_twice(office: Office) -> bool:
    return all(count == 1 for count in Counter(office.source.asked).values())


@pytest.mark.slow
@given(WORLDS, SEEDS, st.integers(1, 64))
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_answers_arrive_changes_nothing(world: World, order: int, in_flight: int) -> None:
    office = world.office(shuffled(order))
    office.policy = Policy(ANY_NUMBER, leads_in_flight=in_flight)
    asyncio.run(office.verify())
    assert (office.rows, office.bills) == left_alone(world)
    assert nothing_twice(office)


@pytest.mark.slow
@given(WORLDS, SEEDS, st.lists(st.tuples(st.integers(1, 90), HOW), min_size=1, max_size=3))
@example(World(0, 24, 12), 0, [(1, "cancelled"), (7, "failed")])  # a leader broke, the next one went on
@settings(max_examples=80, deadline=None)
def test_cut_anywhere_and_resumed_it_ends_in_the_same_rows_for_the_same_money(
    world: World, order: int, cuts: list[tuple[int, str]]
) -> None:
    office = world.office(shuffled(order))
    office.policy = Policy(ANY_NUMBER, leads_in_flight=64)

    async def in_pieces() -> None:
        for at_question, how in cuts:
            await interrupted(office, at_question, how)
        await office.verify("last")

    asyncio.run(in_pieces())
    assert (office.rows, office.bills) == left_alone(world)
    assert nothing_twice(office)


@pytest.mark.slow
@given(WORLDS, SEEDS, st.lists(st.integers(1, 90), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_a_campaign_ordered_by_cost_is_resumed_as_it_began_whatever_was_learned_since(
    world: World, order: int, cuts: list[int]
) -> None:
    office = world.office(shuffled(order))
    office.policy = BY_COST

    async def in_pieces() -> None:
        for at_question in cuts:
            await interrupted(office, at_question, "died")
            refused = Seen("tomba", frozenset(), calls=1_000, hits=1_000, accepted=at_question)
            office.database.tables.record = Record(finders=(refused,))
        await office.verify("last")

    asyncio.run(in_pieces())
    assert (office.rows, office.bills) == left_alone(world, by_cost=True)
    assert nothing_twice(office)


@pytest.mark.slow
@pytest.mark.parametrize("cut", range(1, 60, 2))
def test_cut_at_any_question_with_one_lead_at_a_time_it_ends_the_same(cut: int) -> None:
    world = World(7)
    office = world.office()
    office.policy = Policy(ANY_NUMBER, leads_in_flight=1)

    async def in_two() -> None:
        await interrupted(office, cut, "cancelled")
        await office.verify("last")

    asyncio.run(in_two())
    assert (office.rows, office.bills) == left_alone(world)


@pytest.mark.parametrize("at_question", [200, 700, 1000])
def test_a_death_between_batches_loses_no_money(at_question: int) -> None:
    world = World(11, 400, 25)
    office = world.office(shuffled(at_question))

    async def in_two() -> None:
        await interrupted(office, at_question, "died")
        await office.verify("last")

    asyncio.run(in_two())
    assert (office.rows, office.bills) == left_alone(world)
    assert nothing_twice(office)


async def test_what_was_decided_before_a_cancel_is_saved_and_said() -> None:
    office = World(3).office()
    await interrupted(office, 30, "cancelled")
    saved = [row for row in office.rows if row.email_status]
    assert 0 < len(saved) < len(office.rows)
    assert office.campaign.status is CampaignStatus.FAILED
    assert office.campaign.reason == "cancelled; everything bought is kept, run again to resume"


async def test_a_finished_campaign_that_is_run_again_asks_nothing() -> None:
    office = World(3).office()
    await office.verify()
    rows, asked = office.rows, len(office.source.asked)
    summary = await office.verify("run-2")
    assert (office.rows, len(office.source.asked)) == (rows, asked)
    assert (summary.worked_on, summary.resumed_from) == (0, 1)
    assert office.campaign.status is CampaignStatus.EMAILS_VERIFIED


async def test_a_resumed_run_says_that_it_is_one_and_counts_what_was_spent_before() -> None:
    office = World(3).office()
    await interrupted(office, 30, "failed")
    spent = office.database.bills.rows
    before = sum(bill.booked for bill in spent)
    office.progress.told.clear()
    summary = await office.verify("last")
    assert summary.resumed_from == 1
    assert office.progress.told[0].spent >= before
    assert office.progress.told[-1].spent == summary.cost == sum(bill.booked for bill in office.bills)


async def test_what_a_run_says_it_spent_follows_doubts_of_earlier_runs_that_it_settles() -> None:
    office = an_office([a_lead(1), a_lead(2)], AS_LISTED)
    office.source.finders = [finder("tomba", lambda _: NoAnswer(Gap.LOST))]
    office.source.verifiers = [verifier("reoon")]
    await office.verify()
    bills = office.database.bills
    office.database.add(CAMPAIGN, [a_lead(3)])

    async def told_after_all() -> None:
        bills.rows[0] = replace(bills.rows[0], cost=bills.rows[0].unknown / 2, unknown=ZERO)

    office.source.pause = told_after_all
    await office.verify("run-2")
    assert office.progress.told[-1].spent == sum(bill.booked for bill in bills.rows)


@pytest.mark.slow
@given(WORLDS, SEEDS, st.floats(0.02, 0.6))
@settings(max_examples=40, deadline=None)
def test_while_the_verifier_comes_and_goes_only_leads_that_waited_cost_anything_later(
    world: World, order: int, share: float
) -> None:
    office = world.office(shuffled(order))
    reoon, mailverify = office.source.verifiers
    dice = Random(order)

    def flickering(email: str) -> VerifierReply:
        return NoAnswer(Gap.DOWN) if dice.random() < share else reoon.answer(email)

    office.source.verifiers = [replace(reoon, answers=flickering), mailverify]
    asyncio.run(office.verify())
    waiting = {row.lead.id for row in office.rows if row.email_status is None}
    finished = [row for row in office.rows if row.email_status]
    bought = len(office.database.bills.rows)
    office.source.verifiers = [reoon, mailverify]
    asyncio.run(office.verify("run-2"))
    assert {bill.lead_id for bill in office.database.bills.rows[bought:]} <= waiting
    assert [row for row in office.rows if row.lead.id not in waiting] == finished
    assert all(row.email_status for row in office.rows)


async def test_a_finished_lead_tells_again_what_it_taught_and_costs_nothing_more() -> None:
    leads = [a_lead(number, f"Ada{number} L{number}", company_domain="acme.com") for number in (1, 2)]
    office = an_office(leads, Policy(ANY_NUMBER, guessing=False))
    unable = NoAnswer(Gap.PARKED, "bad key")
    said: dict[str, FinderReply] = {"Ada1 L1": Miss(), "Ada2 L2": NoAnswer(Gap.LATER, "its quota is spent")}
    office.source.finders = [finder("muraena", said), finder("tomba", lambda _: unable)]
    office.source.verifiers = [verifier("reoon")]
    await office.verify()
    before = len(office.source.asked)

    office.source.finders = [finder("muraena"), finder("tomba", lambda _: Hit("ada@acme.com"))]
    await office.verify("run-2")
    assert {question.about for question in office.source.asked[before:]} == {"Ada2 L2", "ada@acme.com"}
    assert office.row(1).email_status is EmailStatus.NOT_FOUND
