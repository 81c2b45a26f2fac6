"""Who may decide what, what a decision is bound to, and what is said to whoever was too late."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from phase3_core.approval import (
    ANYONE,
    EFFECTS,
    ApprovalPolicy,
    AutoApproval,
    Channel,
    Decision,
    Scope,
    having_read,
    person_choice,
)
from phase3_core.approval_request import Binding, changes
from phase3_core.errors import DecisionRefused
from phase3_core.money import usd
from phase3_core.ruling import Decided, NeverAsked, OtherReport, Ruling, Stale, TooLate, ruled
from phase3_core.statuses import ApprovalStatus, CampaignStatus
from tests.attacks import attack, replaced

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
ANYBODY = ApprovalPolicy(approvers=(ANYONE,))
BOUND = Binding("leads", 2, 3, usd("1.5"), "report")


def test_each_decision_has_its_effect_on_the_campaign() -> None:
    effects = {decision: EFFECTS[decision.status] for decision in Decision}
    assert {decision: effect.campaign for decision, effect in effects.items()} == {
        Decision.APPROVE_FULL: CampaignStatus.APPROVED,
        Decision.APPROVE_TIER_A_ONLY: CampaignStatus.APPROVED,
        Decision.REQUEST_MORE_ENRICHMENT: CampaignStatus.RE_ENRICHMENT_REQUESTED,
        Decision.REJECT: CampaignStatus.REJECTED,
    }
    assert effects[Decision.APPROVE_FULL].scope is Scope.TIER_A_AND_B
    assert effects[Decision.APPROVE_TIER_A_ONLY].scope is Scope.TIER_A_ONLY


@pytest.mark.parametrize(
    "other",
    [
        replace(BOUND, leads="others"),
        replace(BOUND, tier_a_ready=1),
        replace(BOUND, ready=4),
        replace(BOUND, spent=usd("1.500001")),
        replace(BOUND, report="another"),
        replace(BOUND, allowed="email_verification 5.000000"),
    ],
)
def test_any_change_is_another_binding(other: Binding) -> None:
    assert other.hash != BOUND.hash


def test_the_same_is_the_same_binding() -> None:
    assert replace(BOUND, spent=usd("1.50")).hash == BOUND.hash


def test_what_changed_is_told() -> None:
    now = replace(BOUND, leads="others", spent=usd(2)).as_json()
    assert changes(BOUND.as_json(), now) == "the leads and what was spent ($1.500000, now $2.000000)"
    assert changes(BOUND.as_json(), replace(BOUND, report="another").as_json()) == "the report"
    capped = replace(BOUND, allowed="email_verification 5.000000").as_json()
    assert changes(capped, BOUND.as_json()) == ("what may be spent (email_verification 5.000000, now no cap)")


@attack(
    "Decisions",
    "Nobody has set up yet who may decide, so anybody does",
    defence="Nobody may until named",
    without=replaced((ApprovalPolicy, "allows", lambda *_: True)),
)
@pytest.mark.parametrize("channel", [Channel.DAGSTER, Channel.COMMAND_LINE, Channel.SLACK])
def test_nobody_decides_unless_named(channel: Channel) -> None:
    with pytest.raises(
        DecisionRefused, match=r"Nobody may decide yet: name who may as \[approval\] approvers"
    ):
        person_choice(ApprovalPolicy(), Decision.APPROVE_FULL, "dana", channel)


@pytest.mark.parametrize("channel", [Channel.DAGSTER, Channel.COMMAND_LINE])
def test_form_and_shell_may_be_opened_to_anyone(channel: Channel) -> None:
    assert person_choice(ANYBODY, Decision.APPROVE_FULL, "Mallory", channel).by == "Mallory"


def test_slack_knows_who_clicks_and_is_never_open_to_anyone() -> None:
    policy = ApprovalPolicy(approvers=(ANYONE, "U0MANAGER"))
    assert person_choice(policy, Decision.APPROVE_FULL, "dana", Channel.SLACK, known_as="u0manager")
    for stranger in ("U0STRANGER", ANYONE):
        with pytest.raises(DecisionRefused, match="mallory is not among the approvers"):
            person_choice(policy, Decision.APPROVE_FULL, "mallory", Channel.SLACK, known_as=stranger)


def test_only_approvers_decide_where_some_are_named() -> None:
    policy = ApprovalPolicy(approvers=("Dana", "U0MANAGER"))
    assert person_choice(policy, Decision.APPROVE_FULL, " dana ", Channel.COMMAND_LINE).by == "dana"
    with pytest.raises(DecisionRefused, match="Mallory is not among the approvers"):
        person_choice(policy, Decision.APPROVE_FULL, "Mallory", Channel.COMMAND_LINE)


def test_whoever_decides_has_a_name() -> None:
    with pytest.raises(DecisionRefused, match="Say who decides"):
        person_choice(ANYBODY, Decision.APPROVE_FULL, "  ", Channel.DAGSTER)


@pytest.mark.parametrize("decision", [Decision.REQUEST_MORE_ENRICHMENT, Decision.REJECT])
def test_a_no_says_why(decision: Decision) -> None:
    with pytest.raises(DecisionRefused, match="needs feedback"):
        person_choice(ANYBODY, decision, "dana", Channel.DAGSTER, feedback=" ")
    choice = person_choice(ANYBODY, decision, "dana", Channel.DAGSTER, feedback="too dear")
    assert (choice.status, choice.feedback) == (decision.status, "too dear")


def test_a_report_is_named_by_the_beginning_of_its_hash() -> None:
    choice = person_choice(ANYBODY, Decision.APPROVE_FULL, "dana", Channel.DAGSTER)
    assert having_read(choice, " 0123AB ").report == "0123ab"
    assert having_read(choice, "").report == ""
    for odd in ("01234", "spring", "0" * 65):
        with pytest.raises(DecisionRefused, match="is no report"):
            having_read(choice, odd)


@pytest.mark.parametrize(
    ("ruling", "said"),
    [
        (
            TooLate(ApprovalStatus.REJECTED, "dana", AT),
            "Already decided: rejected by dana at 2026-11-02 09:30",
        ),
        (
            TooLate(ApprovalStatus.WITHDRAWN, "phase3", AT),
            "The request was withdrawn. Materialize tier_report",
        ),
        (Stale("the leads"), "Not decided: the leads changed since approval was asked for"),
        (OtherReport("0123456789abcdef"), "Not decided: the request is about report 0123456789ab, which"),
        (NeverAsked(), "Nobody has asked to approve campaign c1 yet"),
    ],
)
def test_a_decision_that_does_not_count_says_why(ruling: Ruling, said: str) -> None:
    with pytest.raises(DecisionRefused, match=said):
        ruled("c1", ruling)


def test_a_decision_that_counts_is_handed_on() -> None:
    decided = Decided(UUID(int=1), ApprovalStatus.REJECTED, "dana", AT)
    assert ruled("c1", decided) is decided


def test_nobody_is_asked_only_where_both_counts_are_reached() -> None:
    auto = AutoApproval()
    assert not auto.reason(replace(BOUND, tier_a_ready=499, ready=9_000))
    assert not auto.reason(replace(BOUND, tier_a_ready=600, ready=4_999))
    enough = auto.reason(replace(BOUND, tier_a_ready=500, ready=5_000))
    assert enough == "500 ready leads of tier A (at least 500) and 5,000 in all (at least 5,000)"
