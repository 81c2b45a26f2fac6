"""What is kept no longer is erased by policy: old answers, people of ended campaigns; never an amount."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from phase3_core.budget import Caps
from phase3_core.ledger import End, Stored, Withheld
from phase3_core.money import usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres import retention
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.retention import PostgresRetention, Pruned, Retention
from tests.conftest import Made, MakeCampaign
from tests.resources.postgres.runs import Runs
from tests.resources.postgres.test_ledger import asks, ended, granted, hit

Query = Callable[..., list[dict[str, Any]]]
BookCall = Callable[..., None]

TODAY = datetime.now(UTC)
LONG_AGO = TODAY - timedelta(days=40)
MONTH = timedelta(days=30)
YEAR = Retention(answers_days=30, leads_days=30, fresh=MONTH, windows={"tomba": timedelta(days=90)})
ANSWER = '{"email": "ada@acme.com"}'
OLD = {
    "request": '{"name": "Ada"}',
    "response": ANSWER,
    "created_at": LONG_AGO,
    "asked_at": LONG_AGO,
    "settled_at": LONG_AGO,
}


async def prune(books: PostgresBooks, policy: Retention = YEAR) -> Pruned:
    return await PostgresRetention(books.engine, policy).prune(lambda _: ())


def kept(query: Query) -> list[Any]:
    rows = query("SELECT request, response FROM provider_calls WHERE response IS NOT NULL")
    return [row["response"] for row in rows]


async def test_an_old_answer_goes_and_its_amount_stays(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall, query: Query
) -> None:
    campaign = make_campaign([{}])
    usd = {"cost_usd": Decimal("0.015000"), "unknown_usd": Decimal("0.000001")}
    book_call(campaign.id, campaign.leads[0], provider="reoon", error="Ada has left", **OLD, **usd)
    (before,) = query("SELECT key FROM provider_calls")
    assert (await prune(books)).calls == 1
    (row,) = query("SELECT * FROM provider_calls")
    assert (row["request"], row["response"], row["error"]) == ({}, None, None)
    assert (row["cost_usd"], row["unknown_usd"], row["lead_id"]) == (*usd.values(), campaign.leads[0])
    assert row["key"] != before["key"]
    assert (await prune(books)).calls == 0


@pytest.mark.parametrize(
    "columns",
    [
        {"provider": "reoon", "created_at": TODAY, "settled_at": TODAY, "asked_at": TODAY},
        {"provider": "reoon", "settled_at": TODAY, "asked_at": TODAY},
        {"provider": "reoon", "expires_at": TODAY + timedelta(days=1)},
        {"provider": "tomba"},
        {"provider": "reoon", "state": "intent", "outcome": None},
        {"provider": "reoon", "state": "unknown", "outcome": "error"},
        {"provider": "icypeas", "state": "unknown", "outcome": "error", "job_id": "job-1"},
    ],
    ids=["young", "asked again", "fresh", "free to ask again", "in flight", "in doubt", "job to be read"],
)
async def test_an_answer_that_may_be_needed_stays(
    books: PostgresBooks,
    make_campaign: MakeCampaign,
    book_call: BookCall,
    query: Query,
    columns: dict[str, Any],
) -> None:
    book_call(make_campaign([{}]).id, **OLD | columns)
    assert (await prune(books)).calls == 0
    assert kept(query) == [{"email": "ada@acme.com"}]


IN_DOUBT = {"provider": "reoon", "state": "unknown", "outcome": "error", "unknown_usd": Decimal("0.01")}


@pytest.mark.parametrize(
    ("people", "status", "days"),
    [
        ([{}], "approved_for_personalization", 40),
        ([{}], "rejected", 40),
        ([{"erased_at": TODAY}], "phase3_failed", 40),
        ([{}], "phase3_failed", 366),
    ],
    ids=["approved", "rejected", "its people are erased", "a year ago"],
)
async def test_a_call_in_doubt_goes_when_its_campaign_cannot_ask_again(
    books: PostgresBooks,
    make_campaign: MakeCampaign,
    book_call: BookCall,
    query: Query,
    people: list[dict[str, Any]],
    status: str,
    days: int,
) -> None:
    asked = dict.fromkeys(("created_at", "asked_at", "settled_at"), TODAY - timedelta(days))
    book_call(make_campaign(people, status=status).id, **OLD | IN_DOUBT | asked)
    assert (await prune(books, replace(YEAR, leads_days=None))).calls == 1
    assert kept(query) == []
    assert query("SELECT unknown_usd FROM provider_calls") == [{"unknown_usd": Decimal("0.01")}]


async def test_what_a_dead_run_left_in_flight_goes_after_a_year_at_its_worst_price(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall, query: Query
) -> None:
    campaign, price = make_campaign([{}], status="verifying_emails"), Decimal("0.01")
    left = {
        "provider": "reoon",
        "state": "intent",
        "outcome": None,
        "settled_at": None,
        "reserved_usd": price,
    }
    for days in (364, 366):
        at = TODAY - timedelta(days)
        book_call(campaign.id, **OLD | left | {"created_at": at, "asked_at": at, "lost_after": at})
    policy = PostgresRetention(books.engine, replace(YEAR, leads_days=None))
    assert (await policy.due()).calls == (await policy.prune(lambda _: ())).calls == 1
    rows = query(
        "SELECT state, unknown_usd, request, octet_length(key) AS bytes FROM provider_calls ORDER BY asked_at"
    )
    assert rows[0] == {"state": "unknown", "unknown_usd": price, "request": {}, "bytes": 16}
    assert (rows[1]["state"], rows[1]["unknown_usd"]) == ("intent", 0)
    assert rows[1]["request"] == {"name": "Ada"}
    (spend,) = query("SELECT unknown_usd FROM provider_spend")
    assert spend == {"unknown_usd": price}


async def test_a_call_in_doubt_stays_while_its_answer_would_serve_other_campaigns(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall
) -> None:
    book_call(make_campaign(status="rejected").id, **OLD | IN_DOUBT)
    assert (await prune(books, replace(YEAR, fresh=2 * MONTH))).calls == 0
    assert (await prune(books)).calls == 1


ASKED_LONG_AGO = """
UPDATE provider_calls SET created_at = :at, asked_at = :at, settled_at = :at, expires_at = :at
"""
CAPS = Caps(agents={Agent.EMAIL_VERIFICATION: usd("0.015")})


@pytest.mark.parametrize("caps", [None, CAPS], ids=["without caps", "within caps"])
@pytest.mark.parametrize(("end", "then"), [(End.HIT, Stored), (End.LOST, Withheld)])
async def test_a_question_whose_first_answer_is_erased_is_not_asked_beside_a_newer_one(
    books: PostgresBooks, runs: Runs, query: Query, caps: Caps | None, end: End, then: type
) -> None:
    campaign = uuid4()
    if caps:
        await books.budgets.open(campaign, caps)
    book, question = runs.begin(campaign, caps), asks()
    await book.settle(hit((await granted(book, question)).key))
    query(ASKED_LONG_AGO, at=LONG_AGO)
    newer = (await granted(book, question)).key
    await book.settle(hit(newer) if end is End.HIT else ended(newer, end))
    assert (await prune(books, replace(YEAR, windows={}))).calls == 1
    assert isinstance(await book.open(question), then)


async def test_batches_come_to_the_end_and_a_dry_run_changes_nothing(
    books: PostgresBooks,
    make_campaign: MakeCampaign,
    book_call: BookCall,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "CALLS_AT_ONCE", 3)
    campaign = make_campaign()
    for provider, days in [("reoon", 0)] * 4 + [("tomba", 1)] * 4 + [("reoon", 2)] * 4:
        book_call(campaign.id, **OLD | {"provider": provider, "created_at": LONG_AGO - timedelta(days)})
    assert await PostgresRetention(books.engine, YEAR).due() == Pruned(8, 0, 0)
    assert len(kept(query)) == 12
    assert (await prune(books)).calls == 8
    assert len(kept(query)) == 4


CHECKPOINT = """
INSERT INTO workflow_checkpoints
    (workflow_id, agent_id, step_id, status, campaign_id, output_data, updated_at)
VALUES ('run', 'email_verification', 'leads', 'completed', :id, CAST(:told AS jsonb), :at)
"""


def campaign_that_ended(make_campaign: MakeCampaign, **columns: Any) -> Made:
    people = [{"email": "ada@acme.com", "email_status": "valid", "email_cost": Decimal("0.02")}] * 3
    return make_campaign(
        people, **{"status": "approved_for_personalization", "updated_at": LONG_AGO} | columns
    )


async def test_people_of_a_campaign_that_has_ended_go_and_counts_of_money_stay(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LEADS_AT_ONCE", 2)
    old, young = campaign_that_ended(make_campaign), campaign_that_ended(make_campaign, updated_at=TODAY)
    told = await prune(books)
    assert (told.leads, told.campaigns) == (3, 1)
    rows = query("SELECT * FROM leads ORDER BY erased_at")
    assert [row["campaign_id"] for row in rows if row["erased_at"]] == [old.id] * 3
    assert {row["email"] for row in rows if row["campaign_id"] == young.id} == {"ada@acme.com"}
    gone = [row for row in rows if row["erased_at"]]
    assert {(row["first_name"], row["email"], row["company_domain"]) for row in gone} == {(None,) * 3}
    assert {(row["email_status"], row["email_cost"]) for row in gone} == {("valid", Decimal("0.02"))}
    assert (await prune(books)).leads == 0


async def test_nobody_goes_from_a_campaign_that_a_run_has_taken_up(
    books: PostgresBooks, database_url: str, make_campaign: MakeCampaign
) -> None:
    campaign = campaign_that_ended(make_campaign, status="phase3_failed")
    async with PostgresDatabase(database_url).open(Run("run", campaign.id, Agent.ENRICHMENT)):
        assert (await prune(books)).leads == 0
    assert (await prune(books)).leads == 3


@pytest.mark.parametrize(
    ("worked_at", "until", "leads"),
    [(LONG_AGO, TODAY + MONTH, 0), (TODAY, LONG_AGO, 0), (LONG_AGO, LONG_AGO, 3)],
    ids=["they wait for a quota", "they were worked on lately", "neither"],
)
async def test_nobody_goes_from_a_campaign_whose_leads_are_worked_on_however_old_its_status(
    books: PostgresBooks,
    make_campaign: MakeCampaign,
    query: Query,
    worked_at: datetime,
    until: datetime,
    leads: int,
) -> None:
    campaign = campaign_that_ended(make_campaign, status="phase3_stopped")
    query(CHECKPOINT, id=campaign.id, at=worked_at, told=f'{{"waiting_until": "{until.isoformat()}"}}')
    assert (await prune(books)).leads == leads


async def test_without_a_policy_everything_stays(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall
) -> None:
    book_call(campaign_that_ended(make_campaign).id, provider="reoon", **OLD)
    assert await prune(books, Retention(None, None)) == Pruned(0, 0, 0)
