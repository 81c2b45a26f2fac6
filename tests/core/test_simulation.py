"""Another policy over known answers: what it would have found and cost, and what nobody can know."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from phase3_core.calls import Billing, Gap, Hit, Judgement, Miss, NoAnswer, Price
from phase3_core.leads import Lead
from phase3_core.money import usd
from phase3_core.plan import Plan, Quote
from phase3_core.planner import Bench
from phase3_core.policy import LeadCaps
from phase3_core.record import Record
from phase3_core.simulation import Looked, Open, Replay, replayed, simulated
from phase3_core.statuses import Verdict
from phase3_core.trace import LedgerCall
from tests.fakes.people import a_lead

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PER_HIT, PER_CALL = Price(usd("0.01"), Billing.PER_HIT), Price(usd("0.001"), Billing.PER_CALL)
PLAN = Plan(
    (Quote("tomba", PER_HIT), Quote("muraena", PER_HIT)),
    PER_CALL,
    second_opinion=True,
    guessing=False,
    second=PER_CALL,
)
COSTS = {"tomba": "0.01", "muraena": "0.01", "reoon": "0.001", "mailverify": "0.001"}


@dataclass
class Ledger:
    """What was answered before, by provider and question; notes what is looked up."""

    answers: Mapping[tuple[str, str], Any]
    calls: dict[bytes, LedgerCall] = field(default_factory=dict)
    unasked: list[str] = field(default_factory=list)

    def look(self, provider: str, about: str) -> Any:
        answer = self.answers.get((provider, about))
        if answer is None:
            self.unasked.append(provider)
            return NoAnswer(Gap.LOST)
        key = f"{provider} {about}".encode()
        cost = usd("0") if isinstance(answer, Miss) else usd(COSTS[provider])
        self.calls[key] = LedgerCall(
            key=key,
            provider=provider,
            operation="ask",
            outcome="hit",
            cost=cost,
            unknown=usd("0"),
            asked_at=NOON,
            ended_at=NOON,
            answered=True,
            attempts=1,
            took_ms=1,
            error="",
            lead_id=UUID(int=1),
            campaign_id=None,
            agent="",
        )
        return answer

    def looked(self) -> Looked:
        calls, unasked = tuple(self.calls.values()), self.unasked
        self.calls, self.unasked = {}, []
        return Looked(calls, unasked)


@dataclass(frozen=True)
class Remembering:
    """A finder or verifier that tells again."""

    name: str
    ledger: Ledger
    price: Price = PER_HIT

    async def find(self, lead: Lead) -> Any:
        return self.ledger.look(self.name, lead.full_name)

    async def verify(self, lead: Lead, email: str) -> Any:
        del lead
        return self.ledger.look(self.name, email)


@dataclass(frozen=True)
class Shelf:
    """Providers, as far as a replay needs them."""

    ledger: Ledger

    @property
    def finders(self) -> Sequence[Remembering]:
        return [Remembering(name, self.ledger) for name in ("tomba", "muraena")]

    @property
    def verifiers(self) -> Sequence[Remembering]:
        return [Remembering(name, self.ledger) for name in ("reoon", "mailverify")]

    def done_with(self, lead: Lead) -> None:
        """Nothing is kept free."""


ADA = a_lead()
ANSWERS = {
    ("tomba", ADA.full_name): Hit("ada@acme.com"),
    ("reoon", "ada@acme.com"): Judgement(Verdict.CATCH_ALL),
    ("mailverify", "ada@acme.com"): Judgement(Verdict.INVALID),
    ("muraena", ADA.full_name): Miss(),
}


async def replay(
    answers: Mapping[tuple[str, str], Any],
    plan: Plan = PLAN,
    leads: Sequence[Lead] = (ADA,),
    **how: bool,
) -> Replay:
    async def one_by_one() -> AsyncIterator[Lead]:
        for lead in leads:
            yield lead

    ledger = Ledger(answers)
    shelf: Any = Shelf(ledger)
    return await replayed(one_by_one(), shelf, plan, ledger.looked, **how)


async def test_a_known_way_is_followed_to_its_end_and_costs_what_it_cost() -> None:
    done = await replay(ANSWERS)
    assert (done.leads, done.accepted, done.cost) == (1, 0, usd("0.012"))
    assert not done.open


async def test_accepting_the_risky_saves_the_second_opinion() -> None:
    done = await replay(ANSWERS, accept_risky=True)
    assert (done.accepted, done.cost) == (1, usd("0.011"))


async def test_what_a_company_bought_once_is_paid_once_and_another_company_learns_nothing_of_it() -> None:
    guessing = replace(PLAN, guessing=True)
    bob, eve = a_lead(2, "Bob Byron"), a_lead(3, "Eve Babbage", company_domain="bolt.io")
    known = {("reoon", "ada.lovelace@acme.com"): Judgement(Verdict.VALID)}
    known |= {("reoon", "bob.byron@acme.com"): Judgement(Verdict.VALID)}
    done = await replay(known, guessing, [ADA, ADA, bob, eve])
    assert (done.leads, done.accepted, done.cost) == (4, 3, usd("0.002"))
    alone = [replace(lead, company_domain="") for lead in (ADA, ADA)]
    assert (await replay(ANSWERS, leads=alone)).cost == usd("0.024")


async def test_fewer_finders_cost_less() -> None:
    valid = {("muraena", ADA.full_name): Hit("a@acme.com"), ("reoon", "a@acme.com"): Judgement(Verdict.VALID)}
    both = await replay(ANSWERS | valid)
    one = await replay(ANSWERS | valid, replace(PLAN, max_providers_per_lead=1))
    assert (both.accepted, both.cost) == (1, usd("0.023"))
    assert (one.accepted, one.cost) == (0, usd("0.012"))


@pytest.mark.parametrize(
    ("known", "opening", "asks"),
    [
        ([], Open(()), "tomba"),
        ([("tomba", ADA.full_name)], Open(("tomba",), "tomba"), "reoon"),
        (
            [("tomba", ADA.full_name), ("reoon", "ada@acme.com"), ("mailverify", "ada@acme.com")],
            Open(("tomba",)),
            "muraena",
        ),
    ],
)
async def test_a_lead_is_unknown_from_the_first_question_that_was_never_asked(
    known: list[tuple[str, str]], opening: Open, asks: str
) -> None:
    done = await replay({question: ANSWERS[question] for question in known})
    assert (done.open, done.accepted) == ({opening: 1}, 0)
    assert done.unasked == {asks: 1}


def test_what_is_not_known_is_an_interval_and_told_apart() -> None:
    bench = Bench(PLAN, "reoon", "mailverify", (), {}, LeadCaps())
    done = Replay(leads=300, accepted=200, cost=usd(2))
    sure = simulated(done, bench, Record(), NOON)
    assert (sure.accepted.low, sure.accepted.high, sure.unknown) == (200, 200, 0)
    done.open[Open(("tomba",))] = 100
    unsure = simulated(done, bench, Record(), NOON)
    assert 200 <= unsure.accepted.low < unsure.accepted.expected < unsure.accepted.high <= 300
    assert unsure.cost.expected > 2
    assert unsure.as_json()["known"] == {"accepted": 200, "cost_usd": "2.000000"}


def test_an_address_in_hand_is_likelier_than_one_to_be_found() -> None:
    bench = Bench(PLAN, "reoon", "mailverify", (), {}, LeadCaps())

    def found(opening: Open) -> float:
        return simulated(Replay(leads=1, open=Counter({opening: 1})), bench, Record(), NOON).accepted.expected

    assert found(Open(("tomba",), "tomba")) > found(Open(("tomba",))) > 0
    assert found(Open(("tomba", "muraena"))) == 0
