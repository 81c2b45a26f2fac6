import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from phase3_core.approval import Channel, Choice
from phase3_core.approval_request import Binding, MoreWanted
from phase3_core.budget import Caps
from phase3_core.errors import CampaignBusy, NotAtTheGate, UnknownCampaign, WrongCampaignState
from phase3_core.money import usd
from phase3_core.ports.approvals import Approvals
from phase3_core.ruling import Decided, NeverAsked, OtherReport, Ruling, Stale, TooLate
from phase3_core.runs import Run
from phase3_core.statuses import Agent, ApprovalStatus, CampaignStatus, OutboxKind
from resources.postgres.database import PostgresBooks, PostgresDatabase
from tests.attacks import attack, replaced
from tests.conftest import Made, MakeCampaign
from tests.fakes.people import A_REPORT

Query = Callable[..., list[dict[str, Any]]]
BookCall = Callable[..., None]

READY = {"email": "ada@acme.com", "email_status": "valid", "enrichment_status": "enriched"}
LEADS = (
    {**READY, "lead_tier": "A"},
    {**READY, "email": "bea@acme.com", "email_status": "risky"},
    {"email_status": "not_found", "email_provider": None},
)
REPORT = A_REPORT | {"funnel": {"ready": 2}}


@pytest.fixture
def made(make_campaign: MakeCampaign) -> Made:
    """A campaign that waits for its decision."""
    return make_campaign(LEADS, status="verification_complete")


def run(made: Made, name: str = "run") -> Run:
    return Run(name, made.id, Agent.FINALIZER)


def choice(
    status: ApprovalStatus = ApprovalStatus.APPROVED_FULL, by: str = "dana", request: UUID | None = None
) -> Choice:
    return Choice(status, by, Channel.COMMAND_LINE, "because", request)


def campaign(query: Query) -> dict[str, Any]:
    [row] = query("SELECT status, personalization_scope, approved_by, approved_at FROM campaigns")
    return row


def requests(query: Query) -> list[str]:
    rows = query("SELECT status FROM approval_requests ORDER BY requested_at")
    return [row["status"] for row in rows]


async def test_a_request_is_bound_to_leads_spend_and_report(
    books: PostgresBooks, made: Made, book_call: BookCall, query: Query
) -> None:
    approvals: Approvals = books.approvals
    book_call(made.id, made.leads[0], cost_usd="0.25", unknown_usd="0.01")
    asked = await approvals.request(run(made), REPORT)
    assert (asked.binding.tier_a_ready, asked.binding.ready) == (1, 2)
    assert asked.binding.spent == usd("0.26")
    [row] = query("SELECT * FROM approval_requests")
    assert (row["binding"], row["bound_to"]) == (asked.binding.hash, asked.binding.as_json())
    assert (row["status"], row["summary"]) == ("pending", REPORT)


async def test_the_same_question_asked_again_keeps_its_age(
    books: PostgresBooks, made: Made, query: Query
) -> None:
    first = await books.approvals.request(run(made, "first"), REPORT)
    [before] = query("SELECT * FROM approval_requests")
    assert await books.approvals.request(run(made, "second"), REPORT) == first
    [after] = query("SELECT * FROM approval_requests")
    assert after["run_id"] == "second"
    assert after["requested_at"] == before["requested_at"]
    assert query("SELECT kind FROM outbox") == [{"kind": "slack_announce"}]


async def test_another_question_withdraws_the_first(books: PostgresBooks, made: Made, query: Query) -> None:
    first = await books.approvals.request(run(made), REPORT)
    second = await books.approvals.request(run(made, "second"), A_REPORT)
    assert first.request_id != second.request_id
    assert requests(query) == ["withdrawn", "pending"]


async def test_requests_at_once_are_one_request(books: PostgresBooks, made: Made, query: Query) -> None:
    asked = await asyncio.gather(*(books.approvals.request(run(made), REPORT) for _ in range(8)))
    assert len({one.request_id for one in asked}) == 1
    assert requests(query) == ["pending"]


async def test_nobody_has_asked_yet(books: PostgresBooks, made: Made) -> None:
    assert await books.approvals.newest(made.id) is None
    assert await books.approvals.decide(made.id, choice()) == NeverAsked()
    with pytest.raises(UnknownCampaign):
        await books.approvals.decide(uuid4(), choice())


@pytest.mark.parametrize(
    ("status", "becomes", "scope"),
    [
        (ApprovalStatus.APPROVED_FULL, CampaignStatus.APPROVED, "tier_a_and_b"),
        (ApprovalStatus.APPROVED_TIER_A, CampaignStatus.APPROVED, "tier_a_only"),
        (ApprovalStatus.AUTO_APPROVED, CampaignStatus.APPROVED, "tier_a_and_b"),
        (ApprovalStatus.MORE_ENRICHMENT, CampaignStatus.RE_ENRICHMENT_REQUESTED, None),
        (ApprovalStatus.REJECTED, CampaignStatus.REJECTED, None),
    ],
)
async def test_a_decision_moves_the_campaign(
    books: PostgresBooks, made: Made, query: Query, status: ApprovalStatus, becomes: str, scope: str | None
) -> None:
    asked = await books.approvals.request(run(made), REPORT)
    decided = await books.approvals.decide(made.id, choice(status))
    assert isinstance(decided, Decided)
    assert (decided.request_id, decided.status, decided.by) == (asked.request_id, status, "dana")
    row = campaign(query)
    assert (row["status"], row["personalization_scope"]) == (becomes, scope)
    assert (row["approved_by"], row["approved_at"] == decided.at) == (
        ("dana", True) if scope else (None, False)
    )
    [line] = query("SELECT * FROM campaign_audit_log WHERE action LIKE :action", action=f"approval_{status}")
    assert (line["actor"], line["actor_type"]) == ("dana", "human")
    assert line["details"]["feedback"] == "because"
    assert line["details"]["bound_to"] == asked.binding.as_json()


async def test_of_twenty_deciders_one_wins_and_the_others_are_told_who(
    database_url: str, made: Made, query: Query
) -> None:
    decisions = list(ApprovalStatus)[1:5]

    async def decide(number: int) -> Ruling:
        async with PostgresDatabase(database_url).reading() as books:
            return await books.approvals.decide(made.id, choice(decisions[number % 4], f"person {number}"))

    async with PostgresDatabase(database_url).reading() as books:
        await books.approvals.request(run(made), REPORT)
    rulings = await asyncio.gather(*(decide(number) for number in range(20)))
    (won,) = [ruling for ruling in rulings if isinstance(ruling, Decided)]
    late = [ruling for ruling in rulings if isinstance(ruling, TooLate)]
    assert Counter(late) == {TooLate(won.status, won.by, won.at): 19}
    [row] = query("SELECT status, decided_by FROM approval_requests")
    assert (row["status"], row["decided_by"]) == (won.status, won.by)
    decided = query("SELECT actor FROM campaign_audit_log WHERE actor_type = 'human'")
    assert decided == [{"actor": won.by}]


CHANGES = {
    "the leads": "UPDATE leads SET email = 'eve@acme.com' WHERE lead_tier = 'A'",
    "what was spent": "UPDATE provider_calls SET cost_usd = cost_usd + 0.000001",
    "what may be spent (email_verification 5.000000, now email_verification 9.000000)": (
        "UPDATE budgets SET cap_usd = 9"
    ),
    "the report": """UPDATE approval_requests SET summary = summary || '{"funnel": {"ready": 9}}'""",
}


@attack(
    "Decisions",
    "Leads, spend, caps or report change after approval was asked for, and the old request is approved",
    defence="A request is bound to a hash of all four; any change voids it",
    without=replaced((Binding, "hash", property(lambda _: "the same"))),
)
@pytest.mark.parametrize("changed", CHANGES)
async def test_whatever_changes_voids_the_request(
    books: PostgresBooks, made: Made, book_call: BookCall, query: Query, changed: str
) -> None:
    book_call(made.id, made.leads[0], cost_usd="0.25")
    await books.budgets.open(made.id, Caps({Agent.EMAIL_VERIFICATION: usd("5.00")}))
    await books.approvals.request(run(made), REPORT)
    query(CHANGES[changed])
    ruling = await books.approvals.decide(made.id, choice())
    assert isinstance(ruling, Stale)
    assert ruling.changed.startswith(changed)
    assert campaign(query)["status"] == "verification_complete"
    assert requests(query) == ["withdrawn"]
    again = await books.approvals.decide(made.id, choice())
    assert isinstance(again, TooLate)
    assert again.status is ApprovalStatus.WITHDRAWN


@pytest.mark.parametrize(
    "newcomer",
    [
        "INSERT INTO leads (campaign_id, first_name) VALUES (:campaign, 'Eve')",
        "DELETE FROM leads WHERE lead_tier = 'A' AND campaign_id = :campaign",
        "UPDATE leads SET lead_tier = 'C' WHERE campaign_id = :campaign",
        "UPDATE leads SET enrichment_status = 'partial' WHERE campaign_id = :campaign",
        "UPDATE leads SET status = 'duplicate' WHERE lead_tier = 'A' AND campaign_id = :campaign",
    ],
)
async def test_another_set_of_leads_voids_the_request(
    books: PostgresBooks, made: Made, query: Query, newcomer: str
) -> None:
    await books.approvals.request(run(made), REPORT)
    query(newcomer, campaign=made.id)
    assert await books.approvals.decide(made.id, choice()) == Stale("the leads")
    fresh = await books.approvals.request(run(made, "again"), REPORT)
    decided = await books.approvals.decide(made.id, choice(request=fresh.request_id))
    assert isinstance(decided, Decided)


async def test_nobody_is_approved_by_a_stale_or_foreign_request(
    books: PostgresBooks, made: Made, make_campaign: MakeCampaign, query: Query
) -> None:
    other = make_campaign(LEADS, status="verification_complete")
    foreign = await books.approvals.request(run(other), REPORT)
    stale = await books.approvals.request(run(made), REPORT)
    await books.approvals.request(run(made), A_REPORT)
    assert await books.approvals.decide(made.id, choice(request=foreign.request_id)) == NeverAsked()
    assert isinstance(await books.approvals.decide(made.id, choice(request=stale.request_id)), TooLate)
    assert query("SELECT DISTINCT status FROM campaigns") == [{"status": "verification_complete"}]


async def test_nobody_decides_on_another_report_than_was_read(
    books: PostgresBooks, made: Made, query: Query
) -> None:
    asked = await books.approvals.request(run(made), REPORT)
    unread = replace(choice(), report="0" * 12)
    assert await books.approvals.decide(made.id, unread) == OtherReport(asked.binding.report)
    assert requests(query) == ["pending"]
    read = replace(choice(), report=asked.binding.report[:12])
    assert isinstance(await books.approvals.decide(made.id, read), Decided)


async def test_a_request_of_before_bindings_is_stale(books: PostgresBooks, made: Made, query: Query) -> None:
    query(
        "INSERT INTO approval_requests (campaign_id, run_id, summary) VALUES (:campaign, 'r', '{}')",
        campaign=made.id,
    )
    assert isinstance(await books.approvals.decide(made.id, choice()), Stale)


async def test_nobody_decides_while_a_run_works_on_the_campaign(
    books: PostgresBooks, made: Made, database_url: str, query: Query
) -> None:
    await books.approvals.request(run(made), REPORT)
    async with PostgresDatabase(database_url).open(run(made, "working")) as working:
        with pytest.raises(CampaignBusy):
            await books.approvals.decide(made.id, choice())
        assert requests(query) == ["pending"]
        own = await working.approvals.decide(made.id, choice(), run(made, "working"))
    assert isinstance(own, Decided)


async def test_a_campaign_that_is_run_again_is_not_decided(
    books: PostgresBooks, made: Made, query: Query
) -> None:
    await books.approvals.request(run(made), REPORT)
    await books.campaigns.move(made.id, CampaignStatus.VERIFYING_EMAILS)
    with pytest.raises(NotAtTheGate, match=r"'verifying_emails'.* Run it again"):
        await books.approvals.decide(made.id, choice())
    assert requests(query) == ["pending"]


async def test_a_decided_campaign_is_not_asked_about_again(books: PostgresBooks, made: Made) -> None:
    await books.approvals.request(run(made), REPORT)
    await books.approvals.decide(made.id, choice(ApprovalStatus.REJECTED))
    with pytest.raises(WrongCampaignState, match="'rejected'"):
        await books.approvals.request(run(made), REPORT)


async def test_a_request_is_withdrawn_once_and_only_that_of_the_run(
    books: PostgresBooks, made: Made, query: Query
) -> None:
    await books.approvals.request(run(made), REPORT)
    assert await books.approvals.withdraw(made.id, "another run", "failed") is False
    assert await books.approvals.withdraw(made.id, "run", "the run failed") is True
    assert await books.approvals.withdraw(made.id, "run", "the run failed") is False
    assert requests(query) == ["withdrawn"]
    assert len(query("SELECT 1 FROM campaign_audit_log WHERE action = 'approval_withdrawn'")) == 1
    assert [row["kind"] for row in query("SELECT kind FROM outbox ORDER BY created_at")] == [
        "slack_announce",
        "slack_update",
    ]


async def test_people_are_reminded_once_and_then_it_escalates_once(
    books: PostgresBooks, made: Made, query: Query
) -> None:
    day = timedelta(hours=24)
    asked = await books.approvals.request(run(made), REPORT)
    assert await books.approvals.nudge(day, day) == []
    query("UPDATE approval_requests SET requested_at = now() - interval '24 hours'")
    (reminded,) = await books.approvals.nudge(day, day)
    assert (reminded.request_id, reminded.kind) == (asked.request_id, OutboxKind.REMIND)
    assert await books.approvals.nudge(day, day) == []
    query("UPDATE approval_requests SET reminded_at = now() - interval '24 hours'")
    (escalated,) = await books.approvals.nudge(day, day)
    assert escalated.kind is OutboxKind.ESCALATE
    assert await books.approvals.nudge(day, day) == []
    waiting = query("SELECT kind FROM outbox WHERE withdrawn_at IS NULL ORDER BY created_at")
    assert [row["kind"] for row in waiting] == ["slack_announce", "slack_remind", "slack_escalate"]


async def test_nobody_is_reminded_of_what_cannot_be_decided_now(
    books: PostgresBooks, made: Made, query: Query
) -> None:
    at_once = timedelta(0)
    await books.approvals.request(run(made), REPORT)
    query("UPDATE campaigns SET status = 'phase3_failed'")
    assert await books.approvals.nudge(at_once, at_once) == []
    query("UPDATE campaigns SET status = 'verification_complete'")
    (reminded,) = await books.approvals.nudge(at_once, at_once)
    assert reminded.kind is OutboxKind.REMIND


async def test_nobody_is_reminded_of_what_is_decided(books: PostgresBooks, made: Made, query: Query) -> None:
    await books.approvals.request(run(made), REPORT)
    query("UPDATE approval_requests SET requested_at = now() - interval '30 hours'")
    await books.approvals.nudge(timedelta(hours=24), timedelta(hours=24))
    await books.approvals.decide(made.id, choice())
    assert await books.approvals.nudge(timedelta(0), timedelta(0)) == []
    over = query("SELECT withdrawn_at IS NOT NULL AS over FROM outbox WHERE kind = 'slack_remind'")
    assert over == [{"over": True}]


async def test_more_enrichment_reopens_what_is_missing_and_nothing_else(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    leads = [
        READY,
        {**READY, "enrichment_status": "partial"},
        {**READY, "enrichment_status": "failed"},
        {"email_status": "not_found"},
        {"email": "guess@acme.com", "email_status": "catchall", "email_provider": "tomba"},
        {"email": "old@acme.com", "email_status": "invalid", "email_provider": "delivered"},
        {**READY, "enrichment_status": "partial", "status": "duplicate"},
    ]
    made = make_campaign(leads, status="verification_complete")
    await books.approvals.request(run(made), REPORT)
    await books.approvals.decide(made.id, choice(ApprovalStatus.MORE_ENRICHMENT))
    rows = {
        row["id"]: (row["email"], row["email_status"], row["enrichment_status"])
        for row in query("SELECT id, email, email_status, enrichment_status FROM leads")
    }
    assert [rows[lead] for lead in made.leads] == [
        ("ada@acme.com", "valid", "enriched"),
        ("ada@acme.com", "valid", None),
        ("ada@acme.com", "valid", None),
        (None, None, None),
        (None, None, None),
        ("old@acme.com", None, None),
        ("ada@acme.com", "valid", "partial"),
    ]


async def test_a_campaign_waits_for_more_until_it_is_run(books: PostgresBooks, made: Made) -> None:
    asked = await books.approvals.request(run(made), REPORT)
    assert await books.approvals.more_wanted() == []
    await books.approvals.decide(made.id, choice(ApprovalStatus.MORE_ENRICHMENT))
    assert await books.approvals.more_wanted() == [MoreWanted(made.id, "Autumn", asked.request_id)]
    await books.campaigns.move(made.id, CampaignStatus.VERIFYING_EMAILS)
    assert await books.approvals.more_wanted() == []


async def test_a_decision_is_told_of_for_a_day(books: PostgresBooks, made: Made, query: Query) -> None:
    await books.approvals.request(run(made), REPORT)
    decided = await books.approvals.decide(made.id, choice())
    assert isinstance(decided, Decided)
    assert await books.approvals.decided_lately() == []
    query("UPDATE approval_requests SET decided_at = now() - interval '2 minutes'")
    [(campaign_id, told)] = await books.approvals.decided_lately()
    assert (campaign_id, told.request_id, told.by, told.feedback) == (
        made.id,
        decided.request_id,
        "dana",
        "because",
    )
    query("UPDATE approval_requests SET decided_at = now() - interval '25 hours'")
    assert await books.approvals.decided_lately() == []
