"""Agent 3.1 on a whole campaign, with fakes for the outside world."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from phase3_core import runs
from phase3_core.calls import FinderReply, Gap, Hit, Judgement, NoAnswer, VerifierReply
from phase3_core.domains import MOST_LEADERS
from phase3_core.errors import (
    CampaignBusy,
    NothingUsable,
    OutsideFailure,
    UnknownCampaign,
    WrongCampaignState,
)
from phase3_core.leads import Lead, MailboxName
from phase3_core.money import usd
from phase3_core.policy import Policy, Thresholds
from phase3_core.ports.providers import Skipped
from phase3_core.statuses import Agent, CampaignStatus, EmailStatus, Reason, Verdict
from phase3_core.tiers import Tier
from tests.core.office import ANY_NUMBER, Office, Pause, an_office, shuffled
from tests.fakes.clock import NOON
from tests.fakes.people import a_lead, a_run
from tests.fakes.providers import Script, finder, verifier

VALID = Judgement(Verdict.VALID)
SOLO = Policy(ANY_NUMBER, guessing=False)


def everybody(verdict: VerifierReply = VALID) -> Script[VerifierReply]:
    return verifier("reoon", otherwise=verdict)


def delivered(count: int) -> list[Lead]:
    """Leads that bring an address, each in a company of its own."""
    return [
        replace(a_lead(n, f"Ada{n} L{n}"), email=f"ada@c{n}.com", company_domain=f"c{n}.com")
        for n in range(1, count + 1)
    ]


def ready_office(leads: list[Lead], policy: Policy = SOLO) -> Office:
    office = an_office(leads, policy)
    office.source.finders = [finder("tomba")]
    office.source.verifiers = [everybody()]
    return office


# Who must not be asked about


async def test_who_is_suppressed_is_left_out_and_costs_nothing() -> None:
    office = ready_office(delivered(3))
    office.database.tables.listed = {"ada@c1.com", "c2.com"}
    summary = await office.verify()
    assert [row.lead.id.int for row in office.rows] == [3]
    assert {bill.lead_id.int for bill in office.bills} == {3}
    assert (summary.counts.suppressed, summary.worked_on) == (2, 1)


async def test_a_lead_whose_found_address_is_suppressed_is_left_out_from_then_on() -> None:
    office = an_office([a_lead(1)], SOLO)
    office.source.finders = [finder("tomba", {"Ada Lovelace": Hit("al@acme.com")}), finder("muraena")]
    office.source.verifiers = [everybody(NoAnswer(Gap.SUPPRESSED))]
    summary = await office.verify()
    (row,) = office.database.tables.leads.values()
    assert (row.suppressed, row.email, row.email_status) == (True, "", None)
    assert (summary.counts.suppressed, summary.counts.pending_verification) == (1, 0)
    assert {bill.question.provider for bill in office.bills} <= {"tomba", "reoon"}


# The usual way


async def test_a_campaign_is_found_verified_counted_and_moved_on() -> None:
    people = {1: "Ada One", 2: "Bob Two", 3: "Cyd Three", 4: "Dan Four"}
    leads = [a_lead(n, name, company_domain=f"c{n}.com", tier=Tier.A) for n, name in people.items()]
    office = an_office([replace(leads[0], email="ada@c1.com"), *leads[1:]], SOLO)
    office.source.finders = [
        finder("tomba", {"Bob Two": Hit("bob@c2.com"), "Cyd Three": Hit("cyd@c3.com")}),
        finder("muraena", {"Cyd Three": Hit("c@c3.com", 80)}),
    ]
    office.source.verifiers = [
        verifier(
            "reoon",
            {"ada@c1.com": VALID, "bob@c2.com": Judgement(Verdict.CATCH_ALL), "c@c3.com": VALID},
        ),
        verifier("mailverify", {"bob@c2.com": Judgement(Verdict.RISKY, score=60)}),
    ]
    summary = await office.verify()

    found = [(row.email, row.email_status, row.email_provider, row.email_verifier) for row in office.rows]
    assert found == [
        ("ada@c1.com", EmailStatus.VALID, "delivered", "reoon"),
        ("bob@c2.com", EmailStatus.RISKY, "tomba", "mailverify"),
        ("c@c3.com", EmailStatus.VALID, "muraena", "reoon"),
        ("", EmailStatus.NOT_FOUND, "", ""),
    ]
    assert [row.email_confidence for row in office.rows] == [None, 60, 80, None]
    assert summary.counts.by_email_status == {
        EmailStatus.VALID: 2,
        EmailStatus.RISKY: 1,
        EmailStatus.NOT_FOUND: 1,
    }
    assert (summary.worked_on, summary.resumed_from, summary.shortfall) == (4, 0, "")
    # Three hits at a cent; Ada, Bob twice, Cyd's two: five verifications at a tenth of one.
    assert summary.cost == usd("0.035")
    assert [(row.provider, row.cost) for row in summary.spend] == [
        ("mailverify", usd("0.001")),
        ("muraena", usd("0.01")),
        ("reoon", usd("0.004")),
        ("tomba", usd("0.02")),
    ]
    assert office.campaign.status is CampaignStatus.EMAILS_VERIFIED
    assert office.campaign.results[Agent.EMAIL_VERIFICATION].cost == usd("0.035")
    assert office.campaign.results[Agent.EMAIL_VERIFICATION].finished_at == NOON


async def test_the_cost_of_a_lead_is_the_sum_of_its_calls() -> None:
    office = ready_office([a_lead(1)])
    office.source.finders = [finder("tomba", {"Ada Lovelace": Hit("ada@acme.com")})]
    await office.verify()
    assert office.row(1).email_cost == usd("0.011")


async def test_what_a_colleagues_address_showed_is_guessed_first() -> None:
    leads = [
        a_lead(n, f"{first} Last", score=99 - n, mailbox_names=(MailboxName(first.lower(), "last"),))
        for n, first in enumerate(["Ada", "Bob", "Cyd"])
    ]
    office = an_office(leads)
    office.source.finders = [finder("tomba", {"Ada Last": Hit("a.last@acme.com")})]
    mailboxes = {f"{name}.last@acme.com": VALID for name in "abc"}
    office.source.verifiers = [verifier("reoon", mailboxes)]
    await office.verify()
    assert [row.email for row in office.rows] == sorted(mailboxes)
    assert [question.about for question in office.source.asked if question.operation == "find"] == [
        "Ada Last"
    ]
    verified = [question.about for question in office.source.asked if question.operation == "verify"]
    assert verified[-2:] == ["b.last@acme.com", "c.last@acme.com"]


@pytest.mark.parametrize(
    "sign", [Judgement(Verdict.CATCH_ALL), Judgement(Verdict.INVALID, Reason.NO_MAIL_SERVERS)]
)
async def test_once_a_domain_takes_everything_or_nothing_nobody_there_is_guessed(sign: Judgement) -> None:
    office = an_office([a_lead(n, f"P{n} Q{n}", score=99 - n) for n in range(1, 6)])
    office.source.finders = [finder("tomba")]
    office.source.verifiers = [everybody(sign)]
    await office.verify()
    assert [question.about for question in office.source.asked if question.operation == "verify"] == [
        "p1.q1@acme.com"
    ]


async def test_leads_without_a_company_share_no_knowledge() -> None:
    office = ready_office([a_lead(n, f"P{n} Q{n}", company_domain="") for n in range(1, 4)])
    office.source.finders = [finder("tomba", {f"P{n} Q{n}": Hit(f"p{n}@gmail.com") for n in range(1, 4)})]
    await office.verify()
    assert {row.email_status for row in office.rows} == {EmailStatus.VALID}


async def test_leads_that_are_not_ours_are_left_alone() -> None:
    office = ready_office(delivered(3))
    office.database.tables.leads[a_lead(2).id].status = "duplicate"
    summary = await office.verify()
    assert office.database.tables.leads[a_lead(2).id].email_status is None
    assert summary.worked_on == 2


# Before anything is spent


@pytest.mark.parametrize("lack", ["finder", "verifier"])
async def test_without_a_finder_or_a_verifier_nothing_is_spent_and_nothing_moves(lack: str) -> None:
    office = ready_office(delivered(2))
    office.source.left_out = [Skipped("tomba", "TOMBA_API_KEY is not set")]
    if lack == "finder":
        office.source.finders = []
    else:
        office.source.verifiers = []
    with pytest.raises(NothingUsable, match=f"No usable {lack}.*tomba: TOMBA_API_KEY is not set"):
        await office.verify()
    assert office.source.asked == []
    assert office.campaign.status is CampaignStatus.IMPORT_COMPLETE
    assert office.database.tables.audit == []


@pytest.mark.parametrize("decided", [CampaignStatus.APPROVED, CampaignStatus.REJECTED])
async def test_a_decided_campaign_is_not_run_again(decided: CampaignStatus) -> None:
    office = ready_office(delivered(2))
    office.is_at(decided)
    with pytest.raises(WrongCampaignState):
        await office.verify()
    assert (office.source.asked, office.campaign.status) == ([], decided)


async def test_a_campaign_that_another_run_holds_is_left_to_it() -> None:
    office = ready_office(delivered(2))
    async with office.database.open(a_run(name="other")):
        with pytest.raises(CampaignBusy):
            await office.verify()
    assert office.source.asked == []
    await office.verify()
    assert office.campaign.status is CampaignStatus.EMAILS_VERIFIED


async def test_an_unknown_campaign_is_named_as_such() -> None:
    office = ready_office([])
    office.database.tables.campaigns.clear()
    with pytest.raises(UnknownCampaign):
        await office.verify()


# Thresholds


async def test_too_few_emails_stop_the_campaign_and_say_why() -> None:
    office = ready_office(delivered(3), Policy(Thresholds(4, 0, 0)))
    summary = await office.verify()
    assert office.campaign.status is CampaignStatus.STOPPED
    assert office.campaign.reason == summary.shortfall
    assert summary.shortfall.startswith("3 accepted emails, and enrichment wants at least 4.")
    assert office.campaign.results[Agent.EMAIL_VERIFICATION].summary["shortfall"] == summary.shortfall


async def test_enough_emails_to_the_last_one_go_on() -> None:
    office = ready_office(delivered(3), Policy(Thresholds(3, 0, 0)))
    await office.verify()
    assert office.campaign.status is CampaignStatus.EMAILS_VERIFIED


async def test_force_continue_goes_on_below_a_threshold() -> None:
    office = ready_office(delivered(3), Policy(Thresholds(4, 0, 0), force_continue=True))
    summary = await office.verify()
    assert (office.campaign.status, summary.shortfall) == (CampaignStatus.EMAILS_VERIFIED, "")


# Verifier gone


async def test_while_the_verifier_is_gone_every_lead_waits_with_what_was_found() -> None:
    leads = [a_lead(n, f"P{n} Q{n}", score=n) for n in range(1, 9)]
    office = an_office(leads, SOLO)
    hits = {f"P{n} Q{n}": Hit(f"p{n}@acme.com") for n in range(1, 9)}
    office.source.finders = [finder("tomba", hits), finder("muraena", hits)]
    office.source.verifiers = [everybody(NoAnswer(Gap.PARKED, "out of credits"))]
    summary = await office.verify()
    assert {row.email_status for row in office.rows} == {None}
    assert {row.email for row in office.rows} == {""}
    assert {question.provider for question in office.source.asked} == {"tomba", "reoon"}
    assert summary.counts.pending_verification == len(leads)
    assert summary.skipped == (Skipped("reoon", "out of credits"),)

    bought = len(office.database.bills.rows)
    office.source.verifiers = [everybody()]
    await office.verify("run-2")
    assert {row.email_status for row in office.rows} == {EmailStatus.VALID}
    assert {b.question.provider for b in office.database.bills.rows[bought:]} == {"reoon"}


# Finders gone


@pytest.mark.parametrize(("others", "status"), [([], None), ([finder("muraena")], EmailStatus.NOT_FOUND)])
async def test_who_no_finder_could_be_asked_about_waits_and_is_not_held_to_be_without_an_address(
    others: list[Script[FinderReply]], status: EmailStatus | None
) -> None:
    office = an_office([a_lead(1, "Ada L")], SOLO)
    office.source.verifiers = [everybody()]
    empty = finder("nimbler", lambda _: NoAnswer(Gap.PARKED, "out of credits"))
    office.source.finders = [empty, *others]
    summary = await office.verify()
    assert office.row(1).email_status is status
    waits = "" if status else "partial: 1 lead waits for nimbler (out of credits)"
    assert summary.partial == waits


# Failures


async def test_an_address_that_was_paid_for_is_verified_though_its_finder_is_asked_no_more() -> None:
    office = ready_office([a_lead(1, "Ada L")])
    office.source.finders = [finder("findymail", {"Ada L": Hit("ada@acme.com", 90)})]
    office.source.verifiers = [everybody(NoAnswer(Gap.PARKED, "out of credits"))]
    await office.verify()
    office.source.finders = [finder("tomba", {"Ada L": Hit("other@acme.com")})]
    office.source.verifiers = [everybody()]
    office.source.asked.clear()
    await office.verify("run-2")
    assert [question.provider for question in office.source.asked] == ["reoon"]
    row = office.row(1)
    assert (row.email, row.email_provider) == ("ada@acme.com", "findymail")


async def test_a_failure_in_a_provider_fails_the_campaign_and_keeps_what_was_decided() -> None:
    office = ready_office(delivered(20), Policy(ANY_NUMBER, leads_in_flight=2))

    def judge(email: str) -> VerifierReply:
        if email == "ada@c15.com":
            raise OutsideFailure("The ledger cannot be reached.")
        return VALID

    office.source.verifiers = [verifier("reoon", judge)]
    with pytest.raises(OutsideFailure, match="ledger"):
        await office.verify()
    assert office.campaign.status is CampaignStatus.FAILED
    assert (
        office.campaign.reason
        == "The ledger cannot be reached; everything bought is kept, run again to resume"
    )
    assert sum(row.email_status is EmailStatus.VALID for row in office.rows) >= 13


async def test_a_foreign_failure_is_named_but_not_quoted() -> None:
    office = ready_office(delivered(1))

    def judge(email: str) -> VerifierReply:
        raise ValueError(f"key=s3cret {email}")

    office.source.verifiers = [verifier("reoon", judge)]
    with pytest.raises(ValueError, match="s3cret"):
        await office.verify()
    assert office.campaign.reason == "ValueError; everything bought is kept, run again to resume"


async def test_a_campaign_moved_by_somebody_else_meanwhile_is_not_called_failed() -> None:
    office = ready_office(delivered(1))

    def judge(email: str) -> VerifierReply:
        del email
        office.is_at(CampaignStatus.REJECTED)
        return VALID

    office.source.verifiers = [verifier("reoon", judge)]
    with pytest.raises(WrongCampaignState):
        await office.verify()
    assert office.campaign.status is CampaignStatus.REJECTED


async def test_a_campaign_is_free_again_after_a_failure() -> None:
    office = ready_office(delivered(2))
    office.database.tables.gone = True
    with pytest.raises(OutsideFailure):
        await office.verify()
    office.database.tables.gone = False
    await office.verify()
    assert office.database.held == set()


# Batches and progress


async def test_a_cancel_while_a_batch_is_written_loses_nothing_of_it() -> None:
    office = ready_office(delivered(300))
    started, hurry = asyncio.Event(), asyncio.Event()

    async def writing() -> None:
        started.set()
        await hurry.wait()

    office.database.tables.writing = writing
    task = asyncio.ensure_future(office.verify())
    await started.wait()
    task.cancel()
    hurry.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sum(row.email_status is not None for row in office.rows) >= 250


async def test_batches_are_written_one_after_another() -> None:
    """A follower's result that outlived its leader's would teach a resumed run something else."""
    office = ready_office(delivered(700))
    hurry = asyncio.Event()
    begun = 0

    async def writing() -> None:
        nonlocal begun
        begun += 1
        await hurry.wait()

    office.database.tables.writing = writing
    task = asyncio.ensure_future(office.verify())
    for _ in range(5000):  # turns of the loop, until nothing moves any more
        await asyncio.sleep(0)
    assert begun == 1
    hurry.set()
    await task
    assert {row.email_status for row in office.rows} == {EmailStatus.VALID}


async def test_progress_is_told_every_200_to_500_leads_and_ends_at_the_total() -> None:
    """Each is an event that Dagster keeps: one a lead would fill its database."""
    office = ready_office(delivered(1300))
    summary = await office.verify()
    done = [advance.done for advance in office.progress.told]
    assert done == sorted(done)
    assert max(b - a for a, b in pairwise([0, *done])) <= 500
    assert len(done) <= 1300 / 200 + 1
    assert (done[-1], summary.worked_on) == (1300, 1300)
    assert {advance.total for advance in office.progress.told} == {1300}
    _, status, advance = office.database.tables.checkpoints["run-1", Agent.EMAIL_VERIFICATION, "leads"]
    assert (status, advance) == ("completed", office.progress.told[-1])
    assert advance.spent == summary.cost


async def test_of_a_large_campaign_progress_is_told_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_STEPS", 2)
    office = ready_office(delivered(1300))
    await office.verify()
    assert [advance.done for advance in office.progress.told] == [750, 1300]


async def most_at_once(office: Office, answer: Pause) -> int:
    """Questions that vendors had before them, while the office verified all."""
    flying = most = 0

    async def pause() -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await answer()
        flying -= 1

    office.source.pause = pause
    await office.verify()
    return most


@pytest.mark.parametrize(("guessing", "at_once"), [(False, 5), (True, 5 - MOST_LEADERS)])
async def test_where_nothing_is_guessed_no_lead_waits_for_what_its_colleagues_show(
    *, guessing: bool, at_once: int
) -> None:
    leads = [a_lead(n, f"P{n} Q{n}", score=99 - n) for n in range(1, 6)]
    office = ready_office(leads, Policy(ANY_NUMBER, guessing=guessing))
    office.source.verifiers = [everybody(Judgement(Verdict.INVALID))]
    assert await most_at_once(office, shuffled(1)) == at_once


@pytest.mark.parametrize("window", [1, 7, 64])
async def test_no_more_leads_are_in_flight_than_the_policy_allows(window: int) -> None:
    office = ready_office(delivered(150), Policy(ANY_NUMBER, leads_in_flight=window))
    assert await most_at_once(office, shuffled(window)) == window


async def test_the_duration_is_this_runs() -> None:
    office = ready_office(delivered(1))

    async def pause() -> None:
        office.clock.advance(2.5)

    office.source.pause = pause
    office.clock.advance(100)
    summary = await office.verify()
    assert summary.duration_s == 2.5
    finished = office.campaign.results[Agent.EMAIL_VERIFICATION].finished_at
    assert finished == NOON + timedelta(seconds=102.5)


async def test_slow_writing_holds_work_back_and_batches_stay_small() -> None:
    office = ready_office(delivered(1300), Policy(ANY_NUMBER, leads_in_flight=500))
    office.database.tables.writing = shuffled(1, 400)
    await office.verify()
    done = [advance.done for advance in office.progress.told]
    assert max(b - a for a, b in pairwise([0, *done])) <= 500
    assert done[-1] == 1300


async def test_whatever_waits_when_the_run_ends_is_written() -> None:
    office = ready_office(delivered(1300), Policy(ANY_NUMBER, leads_in_flight=500))
    stuck, hurry = asyncio.Event(), asyncio.Event()

    async def writing() -> None:
        stuck.set()
        await hurry.wait()

    office.database.tables.writing = writing
    task = asyncio.ensure_future(office.verify())
    await stuck.wait()
    for _ in range(5000):  # turns of the loop, until nothing moves any more
        await asyncio.sleep(0)
    task.cancel()
    hurry.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sum(row.email_status is not None for row in office.rows) > 700
