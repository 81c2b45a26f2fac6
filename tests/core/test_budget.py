"""Caps and promises as values; what agents do when the money ends."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.budget import (
    LEAST_DECIDED,
    Budget,
    Caps,
    CostPerValid,
    Promises,
    campaign_scope,
    day_scope,
    why_spent,
)
from phase3_core.calls import Billing, Facts, Gap, Hit, Judgement, NoAnswer, Price
from phase3_core.errors import BadInput
from phase3_core.money import ZERO, Money, usd
from phase3_core.policy import LeadCaps, Policy
from phase3_core.statuses import Agent, CampaignStatus, EmailStatus, Verdict
from phase3_core.tiers import Tier, Topic
from tests.core.office import ANY_NUMBER, Office, an_office
from tests.fakes.people import a_lead
from tests.fakes.providers import FREE, enricher, finder, verifier

ONE, OTHER = UUID(int=1), UUID(int=2)
TOO_DEAR = "the campaign's budget for valid addresses at 0.020000 USD each (they cost 0.022000) is spent"
SPENT = "the campaign's budget for email verification is spent"


def test_promises_are_counted_by_tier_and_end_with_their_lead() -> None:
    promises = Promises()
    promises.keep(ONE, Tier.A, usd("0.004"))
    promises.keep(OTHER, Tier.B, usd("0.004"))
    promises.use(ONE, usd("0.001"))
    assert promises.by_tier == {Tier.A: usd("0.003"), Tier.B: usd("0.004")}
    promises.keep(ONE, Tier.A, usd("0.004"))
    assert promises.of(ONE) == usd("0.004")
    promises.use(OTHER, usd("1"))
    promises.drop(ONE)
    assert (bool(promises), sum(promises.by_tier.values())) == (False, ZERO)


def test_a_scope_is_told_in_words_and_a_providers_day_ends() -> None:
    assert why_spent(campaign_scope(ONE, "email_verification")) == (SPENT, None)
    assert why_spent(campaign_scope(ONE, "tier A")) == ("the campaign's budget for tier A is spent", None)
    assert why_spent(day_scope("reoon", date(2026, 12, 31))) == (
        "its budget for the day is spent",
        datetime(2027, 1, 1, tzinfo=UTC),
    )


def test_a_campaigns_own_caps_go_before_the_settings() -> None:
    usual = Caps({Agent.ENRICHMENT: usd(5)}, {Tier.A: usd(1), Tier.B: usd(2)}, {"reoon": usd(3)})
    own = Caps({Agent.ENRICHMENT: usd(9)}, {Tier.A: ZERO})
    assert usual.under(own) == Caps(
        {Agent.ENRICHMENT: usd(9)}, {Tier.A: ZERO, Tier.B: usd(2)}, {"reoon": usd(3)}
    )


async def test_leads_that_wait_for_money_leave_the_campaign_partial_with_the_reason() -> None:
    office = an_office([a_lead(n, f"P{n} Q{n}") for n in (1, 2)], Policy(ANY_NUMBER, guessing=False))
    office.source.finders = [
        finder("tomba", lambda name: Hit("p1@acme.com") if name == "P1 Q1" else NoAnswer(Gap.LATER, SPENT)),
        finder("icypeas", lambda _: NoAnswer(Gap.LATER, SPENT)),
    ]
    office.source.verifiers = [verifier("reoon", lambda _: Judgement(Verdict.VALID))]
    summary = await office.verify()
    assert office.campaign.reason == f"partial: 1 lead waits for tomba, icypeas ({SPENT})"
    assert [row.email_status for row in office.rows] == ["valid", None]
    assert summary.partial == office.campaign.reason


@given(st.integers(0, 2 * LEAST_DECIDED), st.data())
def test_valid_addresses_are_too_dear_from_a_hundred_decided_leads_on(
    decided: int, data: st.DataObject
) -> None:
    accepted = data.draw(st.integers(0, decided))
    spent = usd(data.draw(st.integers(0, 20)))
    costs = CostPerValid(ONE, usd("0.05"), decided, accepted, spent)
    assert costs.is_spent == (decided >= 100 and 20 * spent > accepted)
    assert not CostPerValid(ONE, None, decided, accepted, spent).is_spent


def test_the_budget_for_valid_addresses_says_what_they_may_cost_and_what_they_do() -> None:
    costs = CostPerValid(ONE, usd("0.02"), 100, 50, usd("1.1"))
    assert why_spent(costs.scope) == (TOO_DEAR, None)
    assert why_spent(CostPerValid(ONE, usd("0.02"), 100).scope)[0].endswith("(there is none) is spent")


def half_are_valid(per_valid: Money | None) -> Office:
    """A find costs 0.01 USD and its verification 0.001: 0.022 for a valid address."""
    people = [a_lead(n, f"P{n} Q{n}", company_domain=f"c{n}.com") for n in range(1, 151)]
    policy = Policy(ANY_NUMBER, guessing=False, leads_in_flight=1, per_valid=per_valid)
    office = an_office(people, policy)
    office.source.finders = [finder("tomba", lambda name: Hit(f"{name[1:].replace(' Q', '@c')}.com"))]
    verdicts = {f"{n}@c{n}.com": Judgement(Verdict.VALID) for n in range(2, 151, 2)}
    office.source.verifiers = [verifier("reoon", verdicts)]
    return office


async def test_where_valid_addresses_cost_more_than_they_may_nothing_more_is_bought_until_they_may() -> None:
    office = half_are_valid(usd("0.02"))
    await office.verify()
    assert office.campaign.reason == f"partial: 50 leads wait for tomba ({TOO_DEAR})"
    assert (len(office.source.asked), office.campaign.status) == (200, CampaignStatus.EMAILS_VERIFIED)
    await office.verify("run-2")
    assert len(office.source.asked) == 200
    office.policy = replace(office.policy, per_valid=usd("0.03"))
    summary = await office.verify("run-3")
    assert (summary.partial, len(set(office.source.asked)), len(office.source.asked)) == ("", 300, 300)


async def test_a_budget_that_is_nearly_spent_is_told_once() -> None:
    near = Budget("x", usd(10), usd(8), agent=Agent.EMAIL_VERIFICATION)
    office = an_office([a_lead()], Policy(ANY_NUMBER, guessing=False))
    office.database.tables.budgets = [near, replace(near, scope="y", spent=usd("7.999999"))]
    office.source.finders = [finder("tomba")]
    office.source.verifiers = [verifier("reoon")]
    await office.verify()
    told = [alert for advance in office.progress.told for alert in advance.alerts]
    assert told == ["email verification: 8.000000 of 10.000000 USD spent"]
    assert [action for _, action, _ in office.database.tables.audit].count("budget_alert") == 1


async def test_a_leads_cap_below_one_verification_is_a_mistake() -> None:
    office = an_office([a_lead()], Policy(ANY_NUMBER, lead_caps=LeadCaps(usd("0.0009"))))
    office.source.finders = [finder("tomba")]
    office.source.verifiers = [verifier("reoon")]
    with pytest.raises(BadInput, match=r"may cost 0.001000 USD.*email_verification_per_lead_usd"):
        await office.verify()
    assert office.source.asked == []


CALLED = Price(usd("0.05"), Billing.PER_CALL)


@pytest.mark.parametrize("there_now", [["icypeas"], ["icypeas", "muraena"]])
async def test_a_leads_cap_counts_whom_an_earlier_run_paid_who_is_gone_or_comes_later(
    there_now: list[str],
) -> None:
    cap = LeadCaps(verification=usd("0.06"))
    office = an_office([a_lead()], Policy(ANY_NUMBER, guessing=False, lead_caps=cap))
    waited_for = finder("tomba", lambda _: NoAnswer(Gap.LATER, "its quota is spent"), FREE)
    office.source.finders = [finder("muraena", price=CALLED), waited_for]
    office.source.verifiers = [verifier("reoon")]
    await office.verify()
    office.source.finders = [finder(name, price=CALLED) for name in there_now]
    await office.verify("run-2")
    assert [bill.question.provider for bill in office.bills if bill.cost] == ["muraena"]
    assert office.row(1).email_status is EmailStatus.NOT_FOUND


async def test_what_a_colleagues_lead_may_not_pay_for_is_no_answer_about_the_company() -> None:
    told = Facts({"company_description": "pumps"})
    leads = [a_lead(number, email=f"a{number}@acme.com", tier=Tier.A) for number in (1, 2)]
    cap = LeadCaps(enrichment=dict.fromkeys(Tier, usd("0.06")))
    office = an_office(leads, Policy(ANY_NUMBER, leads_in_flight=1, lead_caps=cap))
    office.source.verifiers = [verifier("reoon", lambda _: Judgement(Verdict.VALID))]
    office.source.finders = [finder("tomba")]
    await office.verify()
    later = enricher(
        "tavily", frozenset({Topic.WEBSITE}), lambda _: NoAnswer(Gap.LATER, "its quota is spent")
    )
    office.source.enrichers = [enricher("gone", frozenset({Topic.HIRING}), price=CALLED), later]
    await office.enrich()
    office.source.enrichers = [enricher("brave", frozenset({Topic.WEBSITE}), lambda _: told, CALLED)]
    await office.enrich("run-2")
    paid = [
        (bill.question.provider, bill.lead_id.int)
        for bill in office.bills
        if bill.cost and bill.agent is Agent.ENRICHMENT
    ]
    assert paid == [("brave", 2), ("gone", 1)]


@pytest.mark.parametrize(("spent", "reached"), [("0.05", True), ("0.01", True), ("0.009999", False)])
def test_a_cap_at_or_below_what_is_spent_is_reached_before_a_call_is_refused(
    spent: str, *, reached: bool
) -> None:
    budget = Budget("x", usd("0.01"), usd(spent), agent=Agent.EMAIL_VERIFICATION)
    assert budget.as_json()["reached"] is reached
