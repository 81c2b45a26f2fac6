from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from phase3_core.email_result import EmailResult
from phase3_core.enrichment import EnrichmentResult, Gathered
from phase3_core.leads import Lead, MailboxName
from phase3_core.money import usd
from phase3_core.ports.leads import LeadPosition, LeadRepository
from phase3_core.statuses import ACCEPTED, EmailStatus, EnrichmentStatus, LeadStatus
from phase3_core.tiers import Tier
from resources.postgres.database import PostgresBooks
from tests.conftest import Made, MakeCampaign

Query = Callable[..., list[dict[str, Any]]]
BookCall = Callable[..., None]


def names(leads: Sequence[Lead]) -> list[str]:
    return [lead.first_name for lead in leads]


def position(lead: Lead) -> LeadPosition:
    return LeadPosition(lead.tier, lead.score, lead.id)


async def all_pages(leads: LeadRepository, campaign_id: UUID, limit: int, **filters: Any) -> list[Lead]:
    everyone: list[Lead] = []
    after = None
    while page := await leads.get_campaign_leads(campaign_id, limit=limit, after=after, **filters):
        assert len(page) <= limit
        everyone += page
        after = position(page[-1])
    return everyone


MIXED = [
    {"first_name": name, "lead_tier": tier, "lead_score": score}
    for name, tier, score in [
        ("low", "A", 1),
        ("high", "A", 99),
        ("tied1", "B", 50),
        ("tied2", " b ", 50),
        ("tied3", "B", 50),
        ("none", None, None),
        ("zero", "C", 0),
        ("below", "C", -5),
        ("odd", "platinum", 70),
        ("small", "a", 98),
    ]
]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_go_from_the_best_to_the_last_whatever_their_size(
    books: PostgresBooks, make_campaign: MakeCampaign, limit: int
) -> None:
    campaign = make_campaign(MIXED)
    everyone = await all_pages(books.leads, campaign.id, limit)
    by_rank = sorted(everyone, key=lambda lead: (lead.tier, -lead.score, lead.id))
    assert everyone == by_rank
    assert {lead.id for lead in everyone} == set(campaign.leads)
    assert names(everyone)[:3] == ["high", "small", "low"]
    assert names(everyone)[6] == "odd"
    assert names(everyone)[-1] == "below"


async def test_a_lead_without_tier_or_score_is_the_least(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    campaign = make_campaign([{"lead_tier": None, "lead_score": None}])
    [lead] = await books.leads.get_campaign_leads(campaign.id)
    assert (lead.tier, lead.score) == (Tier.C, 0)


async def test_a_page_is_read_from_the_index_though_the_server_has_not_looked_at_the_leads_yet(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([])
    query(
        """
        INSERT INTO leads (campaign_id, first_name, company_domain, lead_tier, lead_score)
        SELECT :campaign, repeat('x', 40), 'acme' || n || '.example', substr('ABC', 1 + n % 3, 1), n % 100
        FROM generate_series(1, 30000) AS n
        """,
        campaign=campaign.id,
    )
    asked: list[tuple[str, Any]] = []
    event.listen(
        books.engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, values, *_: asked.append((statement, values)),
    )
    after = LeadPosition(Tier.B, 40, uuid4())
    await books.leads.get_campaign_leads(campaign.id, needs_verification=True, limit=50, after=after)
    async with books.engine.connect() as connection:
        (settings, _), (page, values) = asked
        await connection.exec_driver_sql(settings)
        plan = await connection.exec_driver_sql(f"EXPLAIN {page}", values)
        lines = "\n".join(row[0] for row in plan)
    assert "leads_phase3_page_idx" in lines
    assert "Sort" not in lines


async def test_a_lead_is_read_as_the_rules_want_it(books: PostgresBooks, make_campaign: MakeCampaign) -> None:
    campaign = make_campaign(
        [
            {
                "first_name": " Jürgen ",
                "last_name": "Müller",
                "title": "CEO",
                "company_domain": "https://WWW.Acme.com/team",
                "email": " j@acme.com ",
                "linkedin_url": "https://linkedin.example/in/j",
            }
        ]
    )
    [lead] = await books.leads.get_campaign_leads(campaign.id)
    assert (lead.full_name, lead.title, lead.company_name) == ("Jürgen Müller", "CEO", "Acme")
    assert (lead.company_domain, lead.email) == ("acme.com", "j@acme.com")
    assert lead.linkedin_url == "https://linkedin.example/in/j"
    assert lead.mailbox_names == (MailboxName("jurgen", "muller"), MailboxName("juergen", "mueller"))


async def test_a_full_name_stands_in_for_its_parts(books: PostgresBooks, make_campaign: MakeCampaign) -> None:
    whole = {"first_name": None, "last_name": "", "full_name": "Anna van der Berg", "company_domain": None}
    campaign = make_campaign([whole])
    [lead] = await books.leads.get_campaign_leads(campaign.id)
    assert (lead.first_name, lead.last_name, lead.company_domain) == ("Anna", "van der Berg", "")


FILTERED = [
    {"first_name": "fresh"},
    {"first_name": "blank", "email": "  ", "status": "new"},
    {"first_name": "delivered", "email": "d@acme.com", "status": "new"},
    {"first_name": "valid", "email": "v@acme.com", "email_status": "valid", "lead_tier": "A"},
    {"first_name": "risky", "email": "r@acme.com", "email_status": "risky", "status": "held"},
    {"first_name": "invalid", "email": "i@acme.com", "email_status": "invalid"},
    {"first_name": "absent", "email_status": "not_found"},
    {"first_name": "rich", "email": "x@acme.com", "email_status": "valid", "enrichment_status": "enriched"},
    {"first_name": "failed", "email": "y@acme.com", "email_status": "valid", "enrichment_status": "failed"},
    *({"first_name": f"not ours: {status}", "status": status} for status in LeadStatus),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "fresh blank delivered valid risky invalid absent rich failed"),
        ({"status": "new"}, "blank delivered"),
        ({"status": "duplicate"}, ""),
        ({"exclude_status": ["new", "held"]}, "fresh valid invalid absent rich failed"),
        ({"needs_email": True}, "fresh blank absent"),
        ({"needs_email": False}, "delivered valid risky invalid rich failed"),
        ({"needs_verification": True}, "fresh blank delivered"),
        ({"needs_verification": False}, "valid risky invalid absent rich failed"),
        ({"has_verified_email": True}, "valid risky rich failed"),
        ({"has_verified_email": False}, "fresh blank delivered invalid absent"),
        ({"tier": Tier.A}, "valid"),
        ({"is_enriched": True}, "rich failed"),
        ({"is_enriched": False, "has_verified_email": True}, "valid risky"),
        ({"needs_verification": True, "needs_email": False}, "delivered"),
    ],
)
async def test_every_filter_alone_and_together(
    books: PostgresBooks, make_campaign: MakeCampaign, filters: dict[str, Any], expected: str
) -> None:
    campaign = make_campaign(FILTERED)
    make_campaign([{"first_name": "of another campaign"}])
    chosen = await all_pages(books.leads, campaign.id, 4, **filters)
    assert sorted(names(chosen)) == sorted(expected.split())


def found(lead_id: UUID, status: EmailStatus | None, email: str = "", provider: str = "tomba") -> EmailResult:
    return EmailResult(lead_id, status, email, provider, "reoon", 87)


async def saved(books: PostgresBooks, query: Query, made: Made, result: EmailResult) -> dict[str, Any]:
    await books.leads.save_email_results(made.id, [result])
    [row] = query("SELECT * FROM leads WHERE id = :id", id=result.lead_id)
    return row


async def test_a_found_address_is_written_with_its_story(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{}])
    row = await saved(books, query, campaign, found(campaign.leads[0], EmailStatus.VALID, "ada@acme.com"))
    assert (row["email"], row["email_status"], row["email_provider"]) == ("ada@acme.com", "valid", "tomba")
    assert (row["email_verifier"], row["email_confidence"]) == ("reoon", 87)
    assert row["email_verified_at"] is not None
    assert (row["full_name"], row["delivered_email"]) == (None, None)


async def test_an_address_that_is_not_accepted_is_still_better_than_none(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{"email": " "}])
    row = await saved(books, query, campaign, found(campaign.leads[0], EmailStatus.CATCH_ALL, "ada@acme.com"))
    assert (row["email"], row["email_status"]) == ("ada@acme.com", "catchall")


async def test_nothing_found_leaves_no_address(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{}])
    nothing = EmailResult(campaign.leads[0], EmailStatus.NOT_FOUND)
    row = await saved(books, query, campaign, nothing)
    assert (row["email"], row["email_status"], row["email_provider"]) == (None, "not_found", None)


@pytest.mark.parametrize("status", sorted(ACCEPTED))
async def test_an_accepted_address_replaces_the_delivered_one(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query, status: EmailStatus
) -> None:
    campaign = make_campaign([{"email": "old@acme.com"}])
    row = await saved(books, query, campaign, found(campaign.leads[0], status, "new@acme.com"))
    assert (row["email"], row["delivered_email"]) == ("new@acme.com", "old@acme.com")
    assert (row["email_status"], row["email_provider"]) == (status, "tomba")


@pytest.mark.parametrize("status", sorted(set(EmailStatus) - ACCEPTED))
async def test_no_other_address_does_and_the_status_is_of_the_one_that_stays(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query, status: EmailStatus
) -> None:
    campaign = make_campaign([{"email": "old@acme.com"}])
    row = await saved(books, query, campaign, found(campaign.leads[0], status, "new@acme.com"))
    assert (row["email"], row["email_status"]) == ("old@acme.com", "unknown")
    assert (row["email_provider"], row["email_verifier"]) == ("delivered", None)


async def test_a_verdict_on_the_delivered_address_is_its_own(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{"email": "Old@Acme.com"}])
    result = found(campaign.leads[0], EmailStatus.INVALID, "old@acme.com", "delivered")
    row = await saved(books, query, campaign, result)
    assert (row["email"], row["email_status"]) == ("Old@Acme.com", "invalid")
    assert (row["email_provider"], row["email_verifier"]) == ("delivered", "reoon")


async def test_what_is_saved_twice_is_saved_once(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{"email": "old@acme.com"}])
    result = found(campaign.leads[0], EmailStatus.VALID, "new@acme.com")
    first = await saved(books, query, campaign, result)
    again = await saved(books, query, campaign, result)
    moments = {"updated_at", "email_verified_at"}
    assert {k: v for k, v in first.items() if k not in moments} == {
        k: v for k, v in again.items() if k not in moments
    }


async def test_a_later_find_does_not_pass_for_phase_2s_address(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{}])
    await saved(books, query, campaign, found(campaign.leads[0], EmailStatus.CATCH_ALL, "one@acme.com"))
    row = await saved(books, query, campaign, found(campaign.leads[0], EmailStatus.VALID, "two@acme.com"))
    assert (row["email"], row["delivered_email"]) == ("two@acme.com", None)


async def test_an_unfinished_lead_is_left_for_the_next_run(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{}])
    row = await saved(books, query, campaign, found(campaign.leads[0], None, "ada@acme.com"))
    assert (row["email"], row["email_status"], row["email_verified_at"]) == (None, None, None)


async def test_a_lead_of_another_campaign_is_not_written(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign, other = make_campaign([{}]), make_campaign([{}])
    await books.leads.save_email_results(
        other.id, [found(campaign.leads[0], EmailStatus.VALID, "a@acme.com")]
    )
    assert query("SELECT 1 FROM leads WHERE email IS NOT NULL") == []


async def test_the_cost_of_a_lead_is_what_its_calls_cost(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query, book_call: BookCall
) -> None:
    campaign = make_campaign([{}, {}])
    one, other = campaign.leads
    book_call(campaign.id, one, cost_usd=usd("0.002"))
    book_call(campaign.id, one, cost_usd=usd("0.01"), unknown_usd=usd("0.03"), reserved_usd=usd("9"))
    book_call(campaign.id, one, cost_usd=usd("0.5"), agent="waterfall_enrichment")
    await books.leads.save_email_results(
        campaign.id, [found(id_, EmailStatus.VALID, "a@b.c") for id_ in (one, other)]
    )
    enriched = [EnrichmentResult(id_, EnrichmentStatus.FAILED) for id_ in (one, other)]
    await books.leads.save_enrichment_results(campaign.id, enriched)
    costs = {row["id"]: (row["email_cost"], row["enrichment_cost"]) for row in query("SELECT * FROM leads")}
    assert costs == {one: (Decimal("0.042"), Decimal("0.5")), other: (0, 0)}
    assert await books.leads.cost_of_decided(campaign.id) == usd("0.042")


async def test_a_batch_is_two_statements(books: PostgresBooks, make_campaign: MakeCampaign) -> None:
    campaign = make_campaign([{} for _ in range(250)])
    statements: list[str] = []
    event.listen(
        books.engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: statements.append(statement),
    )
    results = [found(lead_id, EmailStatus.VALID, f"{lead_id}@acme.com") for lead_id in campaign.leads]
    await books.leads.save_email_results(campaign.id, results)
    assert len(statements) == 2
    await books.leads.save_email_results(campaign.id, [])
    assert len(statements) == 2
    verified = await books.leads.get_campaign_leads(campaign.id, has_verified_email=True)
    assert {lead.email for lead in verified} == {result.email for result in results}


FACTS = {
    "company_description": "Makes anvils",
    "company_industry": "steel",
    "company_employee_count": 51,
    "company_revenue_range": "$1M-$10M",
    "company_founded_year": 1921,
    "company_tech_stack": ["nginx", "Postgres"],
    "company_keywords": ["anvils"],
}


async def enriched(
    books: PostgresBooks, query: Query, made: Made, result: EnrichmentResult
) -> dict[str, Any]:
    await books.leads.save_enrichment_results(made.id, [result])
    [row] = query("SELECT * FROM leads WHERE id = :id", id=result.lead_id)
    return row


async def test_facts_fill_their_columns(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{}])
    data = {"sources": {"apollo": {"x": 1}}}
    result = EnrichmentResult(campaign.leads[0], EnrichmentStatus.ENRICHED, FACTS, data)
    row = await enriched(books, query, campaign, result)
    assert {name: row[name] for name in FACTS} == FACTS
    assert (row["enrichment_status"], row["enrichment_data"]) == ("enriched", data)
    assert row["enrichment_completed_at"] is not None


@pytest.mark.parametrize(
    ("was", "becomes", "stands"),
    [(Tier.C, "A", False), (Tier.B, "A", False), (Tier.A, "A", True), (Tier.A, "C", True), (None, "A", True)],
)
async def test_who_moves_to_a_tier_that_wants_more_is_still_to_be_enriched(
    books: PostgresBooks,
    make_campaign: MakeCampaign,
    query: Query,
    was: Tier | None,
    becomes: str,
    stands: bool,  # noqa: FBT001 - what is expected
) -> None:
    """Who was enriched before anybody wrote down for which tier stands as it is."""
    campaign = make_campaign([{"email_status": "valid", "lead_tier": was or "A"}])
    result = EnrichmentResult(campaign.leads[0], EnrichmentStatus.ENRICHED, FACTS, tier=was)
    await books.leads.save_enrichment_results(campaign.id, [result])
    query("UPDATE leads SET lead_tier = :tier", tier=becomes)
    to_enrich = await books.leads.get_campaign_leads(campaign.id, is_enriched=False)
    ready = await books.leads.ready_leads(campaign.id, 10, None)
    counts = await books.campaigns.counts(campaign.id)
    (overview,) = await books.campaigns.overview(campaign.id)
    assert (len(to_enrich), len(ready)) == ((0, 1) if stands else (1, 0))
    assert counts.pending_enrichment == len(to_enrich)
    assert sum(tier.ready for tier in counts.tiers) == overview.ready == len(ready)


@pytest.mark.parametrize(("becomes", "stands"), [("A", False), ("B", True), ("C", False)])
async def test_who_lacks_something_may_lack_nothing_in_another_tier(
    books: PostgresBooks,
    make_campaign: MakeCampaign,
    query: Query,
    becomes: str,
    stands: bool,  # noqa: FBT001 - what is expected
) -> None:
    campaign = make_campaign([{"email_status": "valid", "lead_tier": "B"}])
    result = EnrichmentResult(campaign.leads[0], EnrichmentStatus.PARTIAL, FACTS, tier=Tier.B)
    await books.leads.save_enrichment_results(campaign.id, [result])
    query("UPDATE leads SET lead_tier = :tier", tier=becomes)
    to_enrich = await books.leads.get_campaign_leads(campaign.id, is_enriched=False)
    assert len(to_enrich) == (not stands)
    assert await books.leads.ready_leads(campaign.id, 10, None) == []


async def test_what_was_told_of_a_lead_is_known_and_what_phase_2_brought_is_not(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    campaign = make_campaign([{}, {"enrichment_data": {"fields": {"shoe": "44"}}}])
    told, brought = campaign.leads
    fields = {"contact": {"value": "+1", "source": "apollo", "at": None}}
    data = {"fields": fields, "sources": {"apollo": {"contact": "+1"}}, "missing": [], "gaps": {}}
    result = EnrichmentResult(told, EnrichmentStatus.PARTIAL, {}, data)
    await books.leads.save_enrichment_results(campaign.id, [result])
    known = await books.leads.known_facts([told, brought])
    assert known == {told: Gathered(fields, {"apollo": {"contact": "+1"}})}


async def test_what_phase_2_knew_of_the_industry_stands(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{"company_industry": "mining"}, {"company_industry": " "}])
    results = [EnrichmentResult(id_, EnrichmentStatus.ENRICHED, FACTS) for id_ in campaign.leads]
    rows = [await enriched(books, query, campaign, result) for result in results]
    assert [row["company_industry"] for row in rows] == ["mining", "steel"]


async def test_a_second_enrichment_adds_and_takes_nothing_away(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{"enrichment_data": {"imported": {"shoe": "44"}}}])
    lead_id = campaign.leads[0]
    await enriched(
        books, query, campaign, EnrichmentResult(lead_id, EnrichmentStatus.PARTIAL, FACTS, {"a": 1})
    )
    better = {"company_description": "Makes better anvils", "company_employee_count": None}
    row = await enriched(
        books, query, campaign, EnrichmentResult(lead_id, EnrichmentStatus.ENRICHED, better, {"b": 2})
    )
    assert (row["company_description"], row["company_employee_count"]) == ("Makes better anvils", 51)
    assert row["enrichment_data"] == {"imported": {"shoe": "44"}, "a": 1, "b": 2}


@pytest.mark.parametrize("told", ["51-200", "many", -3, 10**12, float("inf"), {"min": 51}, None])
async def test_a_number_that_is_none_does_not_take_the_batch_with_it(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query, told: Any
) -> None:
    campaign = make_campaign([{}])
    odd = EnrichmentResult(
        campaign.leads[0],
        EnrichmentStatus.PARTIAL,
        {"company_employee_count": told, "company_description": "an\x00vil \ud83d"},
    )
    row = await enriched(books, query, campaign, odd)
    assert (row["company_employee_count"], row["company_description"]) == (None, "anvil ?")


async def test_finished_leads_come_back_as_phase_2_delivered_them(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    campaign = make_campaign(
        [
            {"first_name": "found", "lead_score": 9},
            {"first_name": "replaced", "lead_score": 8, "email": "old@acme.com"},
            {"first_name": "kept", "lead_score": 7, "email": "kept@acme.com"},
            {"first_name": "confirmed", "lead_score": 6, "email": "right@acme.com"},
            {"first_name": "absent", "lead_score": 5},
            {"first_name": "open", "lead_score": 4},
        ]
    )
    ids = campaign.leads
    await books.leads.save_email_results(
        campaign.id,
        [
            found(ids[0], EmailStatus.VALID, "new@acme.com"),
            found(ids[1], EmailStatus.VALID, "new@acme.com"),
            found(ids[2], EmailStatus.CATCH_ALL, "new@acme.com"),
            found(ids[3], EmailStatus.VALID, "right@acme.com", "delivered"),
            EmailResult(ids[4], EmailStatus.NOT_FOUND),
        ],
    )
    leads = await books.leads.finished_leads(campaign.id, ["acme.com"], 10)
    assert [(lead.first_name, lead.email) for lead in leads] == [
        ("found", ""),
        ("replaced", "old@acme.com"),
        ("kept", "kept@acme.com"),
        ("confirmed", "right@acme.com"),
        ("absent", ""),
    ]
    assert {lead.email_status for lead in leads} == {None}


async def test_finished_leads_are_the_first_of_each_domain(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    def lead(name: str, domain: str, tier: str, score: int, **columns: Any) -> dict[str, Any]:
        usual = {"first_name": name, "company_domain": domain, "lead_tier": tier, "lead_score": score}
        return {**usual, "email_status": "valid", **columns}

    campaign = make_campaign(
        [
            lead("a3", "acme.com", "C", 90),
            lead("a1", "https://www.acme.com", "A", 10),
            lead("a2", "ACME.com", "B", 50),
            lead("b1", "bolt.io", "B", 60),
            lead("other", "other.io", "A", 99),
            lead("double", "bolt.io", "A", 99, status="duplicate"),
            lead("open", "bolt.io", "A", 99, email_status=None),
        ]
    )
    leads = await books.leads.finished_leads(campaign.id, ["acme.com", "bolt.io", "none.io"], 2)
    assert names(leads) == ["a1", "b1", "a2"]
    assert await books.leads.finished_leads(campaign.id, [], 2) == []


async def test_finished_leads_are_read_page_by_page_also_where_all_are_of_one_company_or_of_none(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    domains = ["bolt.io"] * 5 + [""] * 4 + ["acme.com", "WWW.Bolt.io"]
    people = [
        {"first_name": f"{n}", "company_domain": domain, "email_status": "valid", "lead_score": 99 - n}
        for n, domain in enumerate(domains)
    ]
    campaign = make_campaign([*people, {"company_domain": "bolt.io"}])
    pages = [page async for page in books.leads.finished_by_company(campaign.id, 2)]
    assert max(map(len, pages)) == 2
    told = [(lead.company_domain, lead.first_name) for page in pages for lead in page]
    of_none, of_bolt = [("", f"{n}") for n in range(5, 9)], [("bolt.io", f"{n}") for n in (0, 1, 2, 3, 4, 10)]
    assert told == [*of_none, ("acme.com", "9"), *of_bolt]


async def test_ready_leads_are_what_the_export_shows(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    ready = {"email": "a@acme.com", "email_status": "valid", "enrichment_status": "enriched"}
    campaign = make_campaign(
        [
            {
                **ready,
                "first_name": "two",
                "lead_score": 1,
                "email_cost": usd("0.1"),
                "enrichment_cost": usd("0.2"),
            },
            {**ready, "first_name": "one", "lead_score": 2},
            {**ready, "enrichment_status": "partial"},
            {**ready, "email_status": "invalid"},
            {**ready, "status": "duplicate"},
        ]
    )
    [one] = await books.leads.ready_leads(campaign.id, 1, None)
    after = LeadPosition(Tier(one["tier"]), one["score"], one["id"])
    [two] = await books.leads.ready_leads(campaign.id, 9, after)
    assert (one["first_name"], two["first_name"]) == ("one", "two")
    assert (one["cost_usd"], two["cost_usd"], two["company_domain"]) == (0, usd("0.3"), "acme.com")


async def test_an_odd_status_of_phase_2_counts_as_not_verified(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    campaign = make_campaign([{}])
    query("ALTER TABLE leads DROP CONSTRAINT leads_email_status_check")
    query("UPDATE leads SET email_status = 'unverified'")
    [lead] = await books.leads.get_campaign_leads(campaign.id, needs_verification=True)
    assert lead.email_status is None
