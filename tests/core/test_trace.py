"""Each step has its reason, and what came of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from phase3_core.calls import Billing, EnricherReply, Facts, Gap, Hit, Judgement, Miss, NoAnswer, Price
from phase3_core.domains import Domain
from phase3_core.money import usd
from phase3_core.patterns import Pattern
from phase3_core.plan import Plan, Quote
from phase3_core.progress import DELIVERED, GUESS, Candidate, Progress
from phase3_core.statuses import Agent, Verdict
from phase3_core.step_reasons import reason
from phase3_core.tiers import PROFILES, Tier, Topic
from phase3_core.trace import LedgerCall, Noted, TracedStep, earlier_steps, email_steps, enrichment_steps
from phase3_core.verify import plan_for
from phase3_core.waterfall import Find, Guess, SecondOpinion, Step, Stop, Verify
from tests.core.office import EASY, an_office
from tests.fakes.people import a_lead, a_run
from tests.fakes.providers import enricher, finder, verifier

PRICE = Price(usd("0.01"), Billing.PER_HIT)
PLAN = Plan((Quote("tomba", PRICE), Quote("findymail", PRICE)), PRICE, second_opinion=True)
ADA = "ada@acme.com"
AT = datetime(2026, 11, 2, tzinfo=UTC)


def progress(source: str, *tried: str, lost: bool = False) -> Progress:
    return Progress((Candidate(ADA, source, lost=lost, verifier="reoon"),), tried)


@pytest.mark.parametrize(
    ("step", "domain", "so_far", "why"),
    [
        (Verify(ADA), Domain(), progress(DELIVERED), "phase 2 delivered this address"),
        (Verify(ADA), Domain(), progress(GUESS), "a guess is no address until"),
        (Verify(ADA), Domain(), progress("tomba", "tomba"), "tomba named this address"),
        (SecondOpinion(ADA), Domain(), progress("tomba"), "reoon saw a domain that takes any address"),
        (SecondOpinion(ADA), Domain(), progress("tomba", lost=True), "the first verifier's answer was lost"),
        (Guess(ADA), Domain(), Progress(), "a verified guess costs less"),
        (Guess(ADA), Domain(Pattern.FIRST), Progress(), "an address of this company is known to follow"),
        (Find("tomba"), Domain(catch_all=True), Progress(), "no guessing: the company's domain takes any"),
        (Find("tomba"), Domain(without_mail=True), Progress(), "no guessing: no server takes mail for"),
        (
            Find("tomba"),
            Domain(),
            Progress(),
            "no accepted address yet, and no guess is worth its price; number 1",
        ),
        (
            Find("findymail"),
            Domain(),
            Progress(tried=("tomba",)),
            "tomba brought no accepted address; number 2",
        ),
        (Stop.EXHAUSTED, Domain(), Progress(), "every finder that may be asked was asked"),
        (Stop.ACCEPTED, Domain(), Progress(), "there is an accepted address"),
        (Stop.VERIFIER_GONE, Domain(), Progress(), "no verifier could look"),
    ],
)
def test_a_step_has_its_reason(step: Step, domain: Domain, so_far: Progress, why: str) -> None:
    assert reason(step, PLAN, domain, so_far).startswith(why)


def a_call(answered: bool = True, key: bytes = b"k", lead: int = 1) -> LedgerCall:  # noqa: FBT001, FBT002 - values of a call, not options
    told = "hit" if answered else "error"
    cost, unknown = usd("0.01"), usd("0.02")
    return LedgerCall(
        key, "tomba", "find", told, cost, unknown, AT, AT, answered, 1, 5, "", a_lead(lead).id, None, ""
    )


async def steps_of(find: Any, verdict: Any, *calls: LedgerCall) -> list[tuple[str, str]]:
    office = an_office([a_lead()])
    office.source.finders = [finder("tomba", lambda _: find)]
    office.source.verifiers = [verifier("reoon", lambda _: verdict)]
    async with office.database.open(a_run()) as books, office.source.open(a_run(), books) as providers:
        plan = plan_for(providers, EASY)
        plain = Plan(plan.finders, plan.verifier, plan.second_opinion, guessing=False)
        traced = await email_steps(a_lead(), [], providers, plain, lambda: calls)
    return [(step.step, step.outcome) for step in traced]


@pytest.mark.parametrize(
    ("find", "verdict", "steps"),
    [
        (
            Hit(ADA),
            Judgement(Verdict.VALID),
            [("ask tomba", ADA), (f"verify {ADA}", "valid"), ("stop", "accepted")],
        ),
        (
            Hit(ADA),
            NoAnswer(Gap.LOST),
            [("ask tomba", ADA), (f"verify {ADA}", "the answer was lost"), ("stop", "exhausted")],
        ),
        (
            Hit(ADA),
            NoAnswer(Gap.PARKED),
            [("ask tomba", ADA), (f"verify {ADA}", "not asked"), ("stop", "verifier_gone")],
        ),
    ],
)
async def test_a_trace_tells_what_came_of_each_step(
    find: object, verdict: object, steps: list[tuple[str, str]]
) -> None:
    assert await steps_of(find, verdict) == steps


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ([a_call()], "no address"),
        ([a_call(answered=False)], "no answer at the time"),
        ([], "not asked"),
    ],
)
async def test_that_nobody_knows_an_address_is_said_of_an_answer_only(
    calls: list[LedgerCall], told: str
) -> None:
    assert (await steps_of(Miss(), Judgement(Verdict.VALID), *calls))[0] == ("ask tomba", told)


async def test_enrichment_is_traced_to_what_is_missing() -> None:
    office = an_office([a_lead()])
    told = Facts({"company_description": "Pumps"})
    office.source.enrichers = [
        enricher("website", frozenset({Topic.WEBSITE}), lambda _: told),
        enricher("brave", frozenset({Topic.NEWS}), lambda _: NoAnswer(Gap.DOWN, "it broke")),
    ]
    lead = a_lead(tier=Tier.B)
    async with office.database.open(a_run()) as books, office.source.open(a_run(), books) as providers:
        traced = await enrichment_steps(lead, providers, PROFILES[lead.tier], tuple)
    told_by = {step.step: step.outcome for step in traced}
    assert told_by == {
        "ask website": "company_description",
        "ask brave": "it broke",
        "stop": "missing: company_industry",
    }
    assert traced[0].why.startswith("tier B deserves website; ")


INDUSTRY = {"company_industry": "Pumps", "company_employee_count": 9}
COMPANY = frozenset({Topic.COMPANY})


async def enriched(noted: Noted, **now: EnricherReply) -> list[TracedStep]:
    office = an_office([a_lead()])
    office.source.enrichers = [enricher(name, COMPANY, {"acme.com": reply}) for name, reply in now.items()]
    lead = a_lead(tier=Tier.B)
    async with office.database.open(a_run()) as books, office.source.open(a_run(), books) as providers:
        return await enrichment_steps(lead, providers, PROFILES[lead.tier], lambda: (a_call(lead=2),), noted)


async def test_who_gave_no_answer_then_gives_none_in_the_trace_whatever_others_were_told_since() -> None:
    noted = Noted({"apollo": INDUSTRY}, {"clearbit": "its service fails"})
    away, asked, stop = await enriched(noted, clearbit=Facts(INDUSTRY), apollo=Facts(INDUSTRY))
    assert (away.step, away.outcome, away.calls) == ("ask clearbit", "its service fails", ())
    assert (asked.step, asked.outcome) == ("ask apollo", "company_employee_count, company_industry")
    assert asked.calls == (a_call(lead=2),)
    assert stop.outcome == "missing: company_description"


async def test_who_was_not_asked_is_no_step() -> None:
    noted = Noted({"apollo": INDUSTRY}, {})
    steps = await enriched(noted, clearbit=Facts(INDUSTRY), builtwith=NoAnswer(Gap.PARKED), apollo=Miss())
    assert [step.step for step in steps] == ["ask apollo", "stop"]


def test_an_earlier_step_tells_in_whose_place_it_was_taken() -> None:
    steps = [
        TracedStep(Agent.ENRICHMENT, "ask website", "free", "nothing new", (a_call(key=b"w"),)),
        TracedStep(
            Agent.ENRICHMENT, "ask clearbit", "first", "it broke", (a_call(answered=False, key=b"c"),)
        ),
        TracedStep(Agent.ENRICHMENT, "ask apollo", "next", "nothing new", (a_call(key=b"a"),)),
        TracedStep(Agent.ENRICHMENT, "stop", "nobody is left", ""),
    ]
    (step,) = earlier_steps(steps, {b"a"})
    assert (step.step, step.why) == ("ask apollo", "clearbit gave no answer at the time; next")


def test_what_another_lead_paid_costs_this_one_nothing() -> None:
    mine, other = a_lead(1).id, a_lead(2).id
    assert (a_call().booked_for(mine), a_call().booked_for(other)) == (usd("0.03"), usd(0))
