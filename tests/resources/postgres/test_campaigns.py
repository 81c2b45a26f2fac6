import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from phase3_core.counts import ProviderSpend, TierCounts
from phase3_core.errors import BadInput, UnknownCampaign, WrongCampaignState
from phase3_core.money import usd
from phase3_core.ports.campaigns import AgentResult, CampaignRepository
from phase3_core.report import lead_set_digest, read_report, report_hash
from phase3_core.runs import Run
from phase3_core.statuses import Agent, CampaignStatus, EmailStatus, EnrichmentStatus, may_become
from phase3_core.tiers import Tier
from resources.postgres.campaign_list import CampaignOverview
from resources.postgres.database import PostgresBooks, PostgresDatabase
from tests.conftest import NOW, MakeCampaign

Query = Callable[..., list[dict[str, Any]]]
BookCall = Callable[..., None]
S = CampaignStatus


async def test_a_campaign_counts_the_leads_that_are_ours(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    campaigns: CampaignRepository = books.campaigns
    made = make_campaign([{}, {}, {"status": "duplicate"}], name="Spring")
    campaign = await campaigns.campaign(made.id)
    assert (campaign.name, campaign.status, campaign.leads) == ("Spring", S.IMPORT_COMPLETE, 2)
    assert campaign.import_completed_at == NOW


async def test_a_campaign_that_is_not_there_is_unknown(books: PostgresBooks) -> None:
    nowhere = uuid4()
    with pytest.raises(UnknownCampaign):
        await books.campaigns.campaign(nowhere)
    with pytest.raises(UnknownCampaign):
        await books.campaigns.move(nowhere, S.VERIFYING_EMAILS)
    with pytest.raises(UnknownCampaign):
        await books.campaigns.update_enrichment_results(nowhere, await a_result(books, nowhere))


async def test_a_campaign_of_phase_2_is_not_ready_for_us(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    scraping = make_campaign(status="scraping")
    with pytest.raises(WrongCampaignState, match="'scraping'"):
        await books.campaigns.campaign(scraping.id)


async def test_campaigns_handed_over_wait_in_the_order_they_came(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    undated = make_campaign(import_completed_at=None)
    late = make_campaign(import_completed_at=NOW + timedelta(hours=1))
    early = make_campaign([{}], import_completed_at=NOW)
    make_campaign(status="verifying_emails")
    waiting = await books.campaigns.import_completed()
    assert [campaign.id for campaign in waiting] == [early.id, late.id, undated.id]
    assert waiting[0].leads == 1


@pytest.mark.parametrize("to", sorted(CampaignStatus))
async def test_a_campaign_moves_only_where_the_rules_let_it(
    books: PostgresBooks, make_campaign: MakeCampaign, to: CampaignStatus
) -> None:
    moved = set()
    for status in CampaignStatus:
        campaign = make_campaign(status=status)
        try:
            await books.campaigns.move(campaign.id, to)
        except WrongCampaignState:
            assert (await books.campaigns.campaign(campaign.id)).status is status
        else:
            assert (await books.campaigns.campaign(campaign.id)).status is to
            moved.add(status)
    assert moved == may_become(to)


async def test_a_move_says_why_and_moving_on_forgets_it(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign()
    await books.campaigns.move(campaign.id, S.FAILED, "the database is gone")
    assert query("SELECT status_reason FROM campaigns") == [{"status_reason": "the database is gone"}]
    await books.campaigns.move(campaign.id, S.VERIFYING_EMAILS)
    assert query("SELECT status_reason FROM campaigns") == [{"status_reason": None}]
    lines = query("SELECT action, details FROM campaign_audit_log ORDER BY created_at")
    assert [line["action"] for line in lines] == ["status_changed"] * 2
    assert lines[0]["details"] == {"to": "phase3_failed", "why": "the database is gone"}


@pytest.mark.parametrize(
    ("status", "imported_at", "called_off"),
    [
        (S.IMPORT_COMPLETE, NOW, True),
        (S.IMPORT_COMPLETE, None, True),
        (S.IMPORT_COMPLETE, NOW + timedelta(minutes=2), False),
        *((status, NOW, False) for status in CampaignStatus if status is not S.IMPORT_COMPLETE),
    ],
)
async def test_only_an_import_that_nobody_has_begun_with_is_called_off_and_no_later_one(
    books: PostgresBooks,
    make_campaign: MakeCampaign,
    query: Query,
    status: S,
    imported_at: datetime | None,
    *,
    called_off: bool,
) -> None:
    made = make_campaign(status=status, import_completed_at=imported_at)
    asked_for = NOW + timedelta(minutes=1)
    assert await books.campaigns.call_off(made.id, asked_for, "cancelled") is called_off
    [row] = query("SELECT status, status_reason FROM campaigns")
    assert row["status"] == (S.FAILED if called_off else status)
    assert row["status_reason"] == ("cancelled" if called_off else None)
    assert len(query("SELECT FROM campaign_audit_log")) == called_off


async def test_of_moves_at_once_one_wins(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign(status=S.VERIFICATION_COMPLETE)
    ends = [S.APPROVED, S.REJECTED, S.RE_ENRICHMENT_REQUESTED] * 3
    outcomes = await asyncio.gather(
        *(books.campaigns.move(campaign.id, end) for end in ends), return_exceptions=True
    )
    assert sorted(map(type, outcomes), key=str) == sorted([type(None), *[WrongCampaignState] * 8], key=str)
    [line] = query("SELECT details ->> 'to' AS end FROM campaign_audit_log")
    assert line["end"] == (await books.campaigns.campaign(campaign.id)).status


async def test_a_run_signs_with_its_agent(
    database_url: str, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign()
    async with PostgresDatabase(database_url).open(Run("run", campaign.id, Agent.ENRICHMENT)) as books:
        await books.campaigns.audit(campaign.id, "looked_at", {"cost_usd": usd("0.1"), "for": campaign.id})
    [line] = query("SELECT * FROM campaign_audit_log")
    assert (line["actor"], line["actor_type"], line["action"]) == (
        "waterfall_enrichment",
        "agent",
        "looked_at",
    )
    assert line["details"] == {"cost_usd": "0.100000", "for": str(campaign.id)}


def lead(tier: str, score: int, email: str | None, enrichment: str | None = None, by: str = "tomba") -> Any:
    return {
        "lead_tier": tier,
        "lead_score": score,
        "email": "x@acme.com" if email not in {None, "not_found"} else None,
        "email_status": email,
        "email_provider": by if email not in {None, "not_found"} else None,
        "enrichment_status": enrichment,
    }


async def test_counts_add_up(books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall) -> None:
    campaign = make_campaign(
        [
            lead("A", 90, "valid", "enriched"),
            lead("a", 85, "risky", "enriched", by="muraena"),
            lead("A", 10, "valid", "partial"),
            lead("B", 50, "catchall"),
            lead("B", 50, "valid"),
            lead("C", 5, "not_found"),
            lead("C", 5, None),
            {**lead("A", 99, "valid", "enriched"), "status": "duplicate"},
        ]
    )
    book_call(campaign.id, campaign.leads[0], cost_usd=usd("0.5"), unknown_usd=usd("0.25"))
    book_call(campaign.id, campaign.leads[1], cost_usd=usd("0.1"), agent="waterfall_enrichment")
    book_call(campaign.id, campaign.leads[3], cost_usd=usd("0.002"))
    book_call(campaign.id, None, cost_usd=usd("7"))
    counts = await books.campaigns.counts(campaign.id)
    assert counts.tiers == [
        TierCounts(Tier.A, 3, 3, 3, 2, 1, 2, 87.5, usd("0.85")),
        TierCounts(Tier.B, 2, 2, 1, 0, 0, 0, 0.0, usd("0.002")),
        TierCounts(Tier.C, 2, 0, 0, 0, 0, 0, 0.0, usd("0")),
    ]
    assert counts.by_email_status == {
        EmailStatus.VALID: 3,
        EmailStatus.RISKY: 1,
        EmailStatus.CATCH_ALL: 1,
        EmailStatus.NOT_FOUND: 1,
    }
    assert (counts.by_finder, counts.accepted_by_finder) == (
        {"tomba": 4, "muraena": 1},
        {"tomba": 3, "muraena": 1},
    )
    assert counts.by_enrichment_status == {EnrichmentStatus.ENRICHED: 2, EnrichmentStatus.PARTIAL: 1}
    assert (counts.pending_verification, counts.pending_enrichment) == (1, 1)
    assert counts.cost_of_no_lead == usd("7")
    spent = sum(row.cost + row.unknown for row in await books.campaigns.spend(campaign.id))
    assert sum(tier.cost for tier in counts.tiers) + counts.cost_of_no_lead == spent


async def test_the_report_and_its_hash_outlive_another_reading_and_the_deletion_of_a_lead_is_seen(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall, query: Query
) -> None:
    people = [lead("A", 90, "valid", "enriched"), lead("B", 50, "risky", "enriched")]
    campaign = make_campaign([{**person, "email": f"{n}@acme.com"} for n, person in enumerate(people)])
    for person in campaign.leads:
        book_call(campaign.id, person, cost_usd=usd("0.333333"))
    told = await read_report(books, campaign.id)
    assert told["lead_set"] == lead_set_digest(
        [(campaign.leads[0], "A", "0@acme.com"), (campaign.leads[1], "B", "1@acme.com")]
    )
    result = AgentResult(await books.campaigns.counts(campaign.id), usd(0), NOW, told)
    await books.campaigns.update_verification_results(campaign.id, result, "file:///x.xlsx")
    stored = await books.campaigns.summary(campaign.id)
    assert (
        report_hash(stored) == told["report_hash"] == (await read_report(books, campaign.id))["report_hash"]
    )
    query("DELETE FROM leads WHERE id = :id", id=campaign.leads[1])
    assert (await read_report(books, campaign.id))["report_hash"] != told["report_hash"]


async def test_a_campaign_without_leads_counts_nothing(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    counts = await books.campaigns.counts(make_campaign().id)
    assert [tier.total for tier in counts.tiers] == [0, 0, 0]
    assert (counts.by_email_status, counts.pending_verification) == ({}, 0)


async def test_spend_is_by_agent_provider_and_operation(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall
) -> None:
    campaign, other = make_campaign(), make_campaign()
    for outcome, state, cost, unknown in [
        ("hit", "settled", "0.002", "0"),
        ("miss", "settled", "0", "0"),
        ("error", "settled", "0", "0"),
        ("error", "unknown", "0", "0.002"),
        (None, "intent", "0", "0"),
    ]:
        book_call(campaign.id, outcome=outcome, state=state, cost_usd=usd(cost), unknown_usd=usd(unknown))
    for verdict in ("valid", "unknown"):
        book_call(campaign.id, provider="reoon", operation="verify", outcome=verdict, cost_usd=usd("0.01"))
    book_call(campaign.id, provider="apollo", operation="company", agent="waterfall_enrichment")
    book_call(other.id)
    finding, enriching = Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT
    zero = Decimal(0)
    assert await books.campaigns.spend(campaign.id) == [
        ProviderSpend(finding, "reoon", "verify", 2, 2, 0, 0, usd("0.02"), zero),
        ProviderSpend(finding, "tomba", "find", 5, 1, 1, 2, usd("0.002"), usd("0.002")),
        ProviderSpend(enriching, "apollo", "company", 1, 1, 0, 0, zero, zero),
    ]
    assert await books.campaigns.spent(campaign.id) == usd("0.024")
    assert await books.campaigns.spent(make_campaign().id) == 0


async def a_result(books: PostgresBooks, campaign_id: UUID, **summary: Any) -> AgentResult:
    return AgentResult(await books.campaigns.counts(campaign_id), usd("1.5"), NOW, summary)


async def test_results_stand_on_the_campaign_row(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    made = make_campaign([lead("A", 90, "valid", "enriched"), lead("B", 50, "catchall"), lead("C", 1, None)])
    await books.campaigns.update_email_verification_results(made.id, await a_result(books, made.id, found=2))
    await books.campaigns.update_enrichment_results(made.id, await a_result(books, made.id, enriched=1))
    final = await a_result(books, made.id, funnel={"ready": 1}, at=NOW)
    await books.campaigns.update_verification_results(made.id, final, "file:///exports/x.xlsx")
    [row] = query("SELECT * FROM campaigns")
    assert (row["emails_found"], row["emails_verified"], row["leads_enriched"]) == (2, 1, 1)
    assert row["total_leads_ready"] == 1
    assert row["email_verification_cost"] == row["enrichment_cost"] == usd("1.5")
    moments = ("email_verification_completed_at", "enrichment_completed_at", "verification_completed_at")
    assert {row[moment] for moment in moments} == {NOW}
    assert row["verification_summary"] == {
        "email_verification": {"found": 2},
        "waterfall_enrichment": {"enriched": 1},
        "funnel": {"ready": 1},
        "at": str(NOW),
    }
    assert await books.campaigns.workbook(made.id) == "file:///exports/x.xlsx"
    lines = query("SELECT action FROM campaign_audit_log ORDER BY created_at")
    assert [line["action"] for line in lines] == [f"{agent}_finished" for agent in Agent]


async def test_a_campaign_is_named_in_four_ways(books: PostgresBooks, make_campaign: MakeCampaign) -> None:
    made, _ = make_campaign(name="Spring 2026"), make_campaign(name="Summer")
    for name in (str(made.id), made.id.hex.upper(), str(made.id)[:12], " Spring 2026 "):
        assert await books.campaigns.campaign_named(name) == made.id


@pytest.mark.parametrize("name", ["", "  ", "nowhere", "Spring", "spring 2026", "%", "00"])
async def test_what_names_no_campaign_is_unknown(
    books: PostgresBooks, make_campaign: MakeCampaign, name: str
) -> None:
    make_campaign(name="Spring 2026", id=UUID(int=0))
    with pytest.raises(UnknownCampaign):
        await books.campaigns.campaign_named(name)


async def test_what_names_several_campaigns_is_asked_back(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    one, other = make_campaign(name="Spring", id=UUID(int=1)), make_campaign(name="Spring", id=UUID(int=2))
    for name in ("Spring", "00000000-0000"):
        with pytest.raises(BadInput, match="fits 2 campaigns") as asked:
            await books.campaigns.campaign_named(name)
        assert str(one.id) in str(asked.value)
        assert str(other.id) in str(asked.value)


async def test_a_name_goes_before_the_beginning_of_an_id(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    make_campaign(name="other", id=UUID("cafe0000-0000-0000-0000-000000000000"))
    named = make_campaign(name="cafe")
    assert await books.campaigns.campaign_named("cafe") == named.id


async def test_the_overview_has_every_campaign_newest_first(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall
) -> None:
    old = make_campaign(name=None, status="scraping", created_at=NOW)
    new = make_campaign(
        [
            lead("A", 90, "valid", "enriched"),
            lead("B", 50, "invalid"),
            lead("C", 50, "valid", "partial"),
            lead("C", 5, "not_found"),
            {"status": "duplicate"},
        ],
        status=S.FAILED,
        status_reason="cancelled",
        created_at=NOW + timedelta(1),
    )
    book_call(new.id, new.leads[0], cost_usd=usd("0.5"), unknown_usd=usd("0.25"))
    zero = Decimal(0)
    assert await books.campaigns.overview() == [
        CampaignOverview(
            new.id, "Autumn", S.FAILED, "cancelled", 4, 3, 2, 1, 1, usd("0.75"), NOW + timedelta(1)
        ),
        CampaignOverview(old.id, "", "scraping", "", 0, 0, 0, 0, 0, zero, NOW),
    ]
