"""A campaign while vendors are out of service: nothing is spent in vain, and who waited is served."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from phase3_core.calls import (
    Billing,
    FinderReply,
    Gap,
    Hit,
    Judgement,
    NoAnswer,
    Price,
    VerifierReply,
)
from phase3_core.errors import NothingUsable
from phase3_core.money import usd
from phase3_core.policy import Policy
from phase3_core.statuses import CampaignStatus, EmailStatus, Verdict
from phase3_core.waiting import Wait
from tests.core.office import ANY_NUMBER, Office, an_office
from tests.fakes.people import a_lead
from tests.fakes.providers import finder, verifier

SOON = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
OUT = NoAnswer(Gap.LATER, "its service fails", SOON, briefly=True)
VALID = Judgement(Verdict.VALID)
PEOPLE = {f"P{n} Q{n}": f"p{n}@c{n}.com" for n in range(1, 6)}


def an_outage(*names: str, until: datetime | None = SOON) -> dict[str, Wait]:
    return {name: Wait(name, "its service fails", until) for name in names}


def five_leads() -> Office:
    leads = [a_lead(n, name, company_domain=f"c{n}.com") for n, name in enumerate(PEOPLE, 1)]
    office = an_office(leads, Policy(ANY_NUMBER, guessing=False))
    found = {name: Hit(email) for name, email in PEOPLE.items()}
    office.source.finders = [finder("tomba", found), finder("muraena")]
    office.source.verifiers = [verifier("reoon", otherwise=VALID), verifier("mailverify", otherwise=VALID)]
    return office


# Before anything is spent


@pytest.mark.parametrize(
    ("away", "lack"),
    [
        (an_outage("tomba", "muraena"), "finder"),
        (an_outage("reoon", "mailverify"), "verifier"),
        (an_outage("reoon", until=None), "verifier"),
    ],
    ids=["no finder", "no verifier", "the first verifier for good"],
)
async def test_who_cannot_buy_or_cannot_verify_does_not_begin(away: dict[str, Wait], lack: str) -> None:
    office = five_leads()
    office.source.away = away
    with pytest.raises(NothingUsable, match=f"No usable {lack}, so nothing was spent"):
        await office.verify()
    assert office.source.asked == []
    assert office.campaign.status is CampaignStatus.IMPORT_COMPLETE


@pytest.mark.parametrize("name", ["tomba", "reoon"])
async def test_for_minutes_a_run_begins_without_one_of_them(name: str) -> None:
    office = five_leads()
    office.source.away = an_outage(name)
    await office.verify()
    assert office.campaign.status is CampaignStatus.EMAILS_VERIFIED


# Who waited

Reply = TypeVar("Reply")


class Outage:
    """Ends when so many questions were turned away."""

    def __init__(self, office: Office, name: str, turned_away: int) -> None:
        self.office, self.name, self.left = office, name, turned_away
        office.source.away |= an_outage(name)

    def reply(self, otherwise: Callable[[str], Reply], about: str) -> Reply | NoAnswer:
        if self.name not in self.office.source.away:
            return otherwise(about)
        self.left -= 1
        if not self.left:
            del self.office.source.away[self.name]
        return OUT


def with_verifier_out(turned_away: int) -> Office:
    office = five_leads()
    outage = Outage(office, "reoon", turned_away)

    def verdict(email: str) -> VerifierReply:
        return outage.reply(lambda _: VALID, email)

    office.source.verifiers = [verifier("reoon", verdict), verifier("mailverify")]
    return office


async def test_who_waits_for_a_verifier_is_verified_in_the_same_run_once_it_is_back() -> None:
    office = with_verifier_out(5)
    summary = await office.verify()
    assert {row.email_status for row in office.rows} == {EmailStatus.VALID}
    assert (summary.worked_on, list(summary.waiting)) == (5, [])
    assert [one.provider for one in office.source.asked].count("tomba") == 5
    assert [one.provider for one in office.source.asked].count("muraena") == 0


async def test_while_it_is_away_they_wait_for_the_next_run_and_it_is_told() -> None:
    office = with_verifier_out(100)
    summary = await office.verify()
    assert {row.email_status for row in office.rows} == {None}
    assert [str(one) for one in summary.waiting] == [
        "5 leads wait for reoon (its service fails, until 2026-11-22 12:05 UTC)"
    ]
    office.source.away.clear()
    await office.verify("run-2")
    assert {row.email_status for row in office.rows} == {EmailStatus.VALID}
    assert [one.provider for one in office.source.asked].count("tomba") == 5


async def test_who_found_nothing_while_a_finder_was_out_is_found_when_it_is_back() -> None:
    office = five_leads()
    outage = Outage(office, "tomba", 5)

    def found(name: str) -> FinderReply:
        return outage.reply(lambda who: Hit(PEOPLE[who]), name)

    office.source.finders = [finder("tomba", found), finder("muraena")]
    await office.verify()
    assert {row.email for row in office.rows} == set(PEOPLE.values())
    assert [one.provider for one in office.source.asked].count("muraena") == 5


@pytest.mark.parametrize(("patience", "asked"), [(None, 5), ("0.10", 5), ("0.01", 0)])
async def test_leads_wait_for_a_finder_that_is_out_where_a_dearer_one_would_cost_too_much(
    patience: str | None, asked: int
) -> None:
    office = five_leads()
    office.policy = replace(office.policy, patience=usd(patience) if patience else None)
    outage = Outage(office, "tomba", 100)
    office.source.finders = [
        finder("tomba", lambda name: outage.reply(lambda who: Hit(PEOPLE[who]), name)),
        finder("muraena", price=Price(usd("0.10"), Billing.PER_CALL)),
    ]
    summary = await office.verify()
    assert [one.provider for one in office.source.asked].count("muraena") == asked
    assert (
        summary.partial == "partial: 5 leads wait for tomba (its service fails, until 2026-11-22 12:05 UTC)"
    )
    office.source.away.clear()
    await office.verify("run-2")
    assert {row.email for row in office.rows} == set(PEOPLE.values())
    assert [one.provider for one in office.source.asked].count("muraena") == asked
