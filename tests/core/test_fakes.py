"""The fakes are the ports, and as strict as the database is."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from phase3_core.calls import Facts, Gap, Hit, Judgement, NoAnswer
from phase3_core.email_result import EmailResult
from phase3_core.enrichment import EnrichmentResult
from phase3_core.errors import CampaignBusy, OutsideFailure, UnknownCampaign, WrongCampaignState
from phase3_core.leads import Lead
from phase3_core.money import ZERO, usd
from phase3_core.ports.approvals import Approvals
from phase3_core.ports.books import Books, Database
from phase3_core.ports.checkpoints import Checkpoints, Observer
from phase3_core.ports.clock import Clock
from phase3_core.ports.exporter import Exporter
from phase3_core.ports.leads import LeadPosition
from phase3_core.ports.providers import Enricher, Finder, Providers, ProviderSource, Verifier
from phase3_core.progress import DELIVERED
from phase3_core.runs import Advance, Run
from phase3_core.statuses import (
    NOT_OURS,
    Agent,
    ApprovalStatus,
    CampaignStatus,
    EmailStatus,
    EnrichmentStatus,
    Verdict,
)
from phase3_core.tiers import Tier, Topic
from tests.fakes.books import FakeBooks, FakeDatabase, FakeLeads
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.exporter import FakeExporter
from tests.fakes.observer import Recorder
from tests.fakes.people import A_REPORT, CAMPAIGN, a_lead, a_run
from tests.fakes.providers import PER_CALL, PER_HIT, FakeProviderSource, enricher, finder, verifier

RUN = a_run()


def a_database(*leads: Lead) -> FakeDatabase:
    database = FakeDatabase()
    database.add(CAMPAIGN, leads)
    return database


def leads_of(database: FakeDatabase) -> FakeLeads:
    return FakeLeads(database.tables)


def vendors(database: FakeDatabase) -> FakeProviderSource:
    return FakeProviderSource(
        database.bills,
        finders=[finder("tomba", {"Ada Lovelace": Hit("ada@acme.com")})],
        verifiers=[verifier("reoon", {"ada@acme.com": Judgement(Verdict.VALID)}), verifier("mailverify")],
        enrichers=[enricher("website", frozenset({Topic.WEBSITE}), {"acme.com": Facts({"news": ["x"]})})],
    )


async def test_each_fake_is_its_port() -> None:
    database = a_database(a_lead())
    port: Database = database
    source: ProviderSource = vendors(database)
    clock: Clock = FakeClock()
    exporter: Exporter = FakeExporter()
    observer: Observer = Recorder()
    assert (clock.now(), exporter, observer) == (NOON, exporter, observer)
    async with port.open(RUN) as books, source.open(RUN, books) as providers:
        opened: Books = books
        usable: Providers = providers
        parts: tuple[Checkpoints, Approvals] = (opened.checkpoints, opened.approvals)
        asked: tuple[Finder, Verifier, Enricher] = (
            usable.finders[0],
            usable.verifiers[0],
            usable.enrichers[0],
        )
        assert [one.name for one in asked] == ["tomba", "reoon", "website"]
        assert len(parts) == 2


# The lock


async def test_a_second_open_of_the_same_campaign_is_refused_until_the_first_ends() -> None:
    database = a_database()
    async with database.open(RUN):
        async with database.open(replace(RUN, campaign_id=UUID(int=2))):
            pass
        with pytest.raises(CampaignBusy):
            async with database.open(replace(RUN, id="run-2")):
                pass
        async with database.reading() as books:
            assert (await books.campaigns.campaign(CAMPAIGN)).status is CampaignStatus.IMPORT_COMPLETE
    async with database.open(RUN):
        pass


async def test_a_run_that_breaks_lets_its_campaign_go() -> None:
    database = a_database()
    with pytest.raises(ZeroDivisionError):
        async with database.open(RUN):
            raise ZeroDivisionError
    assert database.held == set()


async def test_a_database_that_is_gone_says_so() -> None:
    database = a_database()
    database.tables.gone = True
    with pytest.raises(OutsideFailure):
        async with database.reading():
            pass


# Leads


async def test_pages_are_in_order_of_tier_then_score_downwards_then_id() -> None:
    leads = [
        a_lead(5, tier=Tier.A, score=10),
        a_lead(4, tier=Tier.A, score=90),
        a_lead(3, tier=Tier.B, score=99),
        a_lead(2, tier=Tier.A, score=10),
        a_lead(1, tier=Tier.C, score=100),
    ]
    port = leads_of(a_database(*leads))
    assert [lead.id.int for lead in await port.get_campaign_leads(CAMPAIGN)] == [4, 2, 5, 3, 1]
    paged: list[int] = []
    after: LeadPosition | None = None
    while page := await port.get_campaign_leads(CAMPAIGN, limit=2, after=after):
        paged += [lead.id.int for lead in page]
        after = LeadPosition(page[-1].tier, page[-1].score, page[-1].id)
    assert paged == [4, 2, 5, 3, 1]


async def test_each_filter_keeps_its_leads() -> None:
    database = a_database(
        a_lead(1, email="a@acme.com"), a_lead(2, tier=Tier.A), a_lead(3), a_lead(4), a_lead(5)
    )
    rows = {lead.int: row for lead, row in database.tables.leads.items()}
    rows[2].email_status, rows[2].enrichment_status = EmailStatus.RISKY, EnrichmentStatus.FAILED
    rows[3].email_status = EmailStatus.INVALID
    rows[4].status = "scored"
    rows[5].status = NOT_OURS[0]
    port = leads_of(database)

    def ids(leads: list[Lead]) -> set[int]:
        return {lead.id.int for lead in leads}

    assert ids(await port.get_campaign_leads(CAMPAIGN)) == {1, 2, 3, 4}
    assert ids(await port.get_campaign_leads(UUID(int=2))) == set()
    assert ids(await port.get_campaign_leads(CAMPAIGN, needs_email=True)) == {2, 3, 4}
    assert ids(await port.get_campaign_leads(CAMPAIGN, needs_email=False)) == {1}
    assert ids(await port.get_campaign_leads(CAMPAIGN, needs_verification=True)) == {1, 4}
    assert ids(await port.get_campaign_leads(CAMPAIGN, needs_verification=False)) == {2, 3}
    assert ids(await port.get_campaign_leads(CAMPAIGN, has_verified_email=True)) == {2}
    assert ids(await port.get_campaign_leads(CAMPAIGN, has_verified_email=False)) == {1, 3, 4}
    assert ids(await port.get_campaign_leads(CAMPAIGN, is_enriched=True)) == {2}
    assert ids(await port.get_campaign_leads(CAMPAIGN, is_enriched=False)) == {1, 3, 4}
    assert ids(await port.get_campaign_leads(CAMPAIGN, tier=Tier.A)) == {2}
    assert ids(await port.get_campaign_leads(CAMPAIGN, status="scored")) == {4}
    assert ids(await port.get_campaign_leads(CAMPAIGN, exclude_status=["scored"])) == {1, 2, 3}


async def test_finished_leads_are_the_first_of_each_domain_as_they_were_delivered() -> None:
    database = a_database(
        *(a_lead(n, score=99 - n) for n in range(1, 6)), a_lead(6, company_domain="b.com"), a_lead(7)
    )
    for row in database.tables.leads.values():
        row.email, row.email_status = "found@acme.com", EmailStatus.VALID
    database.tables.leads[UUID(int=1)].email_status = None
    first = await leads_of(database).finished_leads(CAMPAIGN, ["acme.com", "c.com"], 2)
    assert [(lead.id.int, lead.email, lead.email_status) for lead in first] == [(2, "", None), (3, "", None)]


@pytest.mark.parametrize(
    ("delivered", "result", "email", "status", "provider"),
    [
        ("", ("x@b.com", EmailStatus.CATCH_ALL, "tomba"), "x@b.com", EmailStatus.CATCH_ALL, "tomba"),
        ("", ("", EmailStatus.NOT_FOUND, ""), "", EmailStatus.NOT_FOUND, ""),
        ("a@b.com", ("x@b.com", EmailStatus.VALID, "tomba"), "x@b.com", EmailStatus.VALID, "tomba"),
        ("a@b.com", ("x@b.com", EmailStatus.CATCH_ALL, "tomba"), "a@b.com", EmailStatus.UNKNOWN, DELIVERED),
        ("a@b.com", ("A@b.com", EmailStatus.INVALID, DELIVERED), "a@b.com", EmailStatus.INVALID, DELIVERED),
    ],
)
async def test_a_delivered_address_is_replaced_only_by_an_accepted_one(
    delivered: str, result: tuple[str, EmailStatus, str], email: str, status: EmailStatus, provider: str
) -> None:
    database = a_database(a_lead(email=delivered))
    found, said, by = result
    await leads_of(database).save_email_results(CAMPAIGN, [EmailResult(a_lead().id, said, found, by)])
    row = database.tables.leads[a_lead().id]
    assert (row.email, row.email_status, row.email_provider) == (email, status, provider)


async def test_results_of_unfinished_leads_and_of_other_campaigns_change_nothing() -> None:
    database = a_database(a_lead())
    port, row = leads_of(database), database.tables.leads[a_lead().id]
    await port.save_email_results(CAMPAIGN, [EmailResult(a_lead().id, None)])
    await port.save_email_results(UUID(int=2), [EmailResult(a_lead().id, EmailStatus.VALID, "x@b.com")])
    await port.save_enrichment_results(
        UUID(int=2), [EnrichmentResult(a_lead().id, EnrichmentStatus.ENRICHED)]
    )
    assert (row.email, row.email_status, row.enrichment_status) == ("", None, None)


# Campaigns, checkpoints, approvals


async def books_of(database: FakeDatabase) -> FakeBooks:
    async with database.reading() as books:
        return books


async def test_a_campaign_moves_only_as_the_status_machine_allows() -> None:
    database = a_database()
    campaigns = (await books_of(database)).campaigns
    await campaigns.move(CAMPAIGN, CampaignStatus.VERIFYING_EMAILS)
    with pytest.raises(WrongCampaignState):
        await campaigns.move(CAMPAIGN, CampaignStatus.ENRICHED)
    with pytest.raises(UnknownCampaign):
        await campaigns.move(UUID(int=2), CampaignStatus.FAILED)
    await campaigns.audit(CAMPAIGN, "looked_at", {})
    assert [action for _, action, _ in database.tables.audit] == ["status_changed", "looked_at"]
    assert await campaigns.import_completed() == []


async def test_a_campaign_that_is_handed_over_waits_to_be_claimed() -> None:
    waiting = await (await books_of(a_database(a_lead()))).campaigns.import_completed()
    assert [(campaign.id, campaign.leads) for campaign in waiting] == [(CAMPAIGN, 1)]


async def test_a_checkpoint_is_one_row_that_is_rewritten_and_counts_other_runs() -> None:
    database = a_database()
    checkpoints = (await books_of(database)).checkpoints
    for done in (1, 2):
        advance = Advance(Agent.EMAIL_VERIFICATION, done, 2, ZERO)
        await checkpoints.save(RUN, "leads", "in_progress", advance, {})
    assert len(database.tables.checkpoints) == 1
    assert await checkpoints.earlier_runs(RUN) == 0
    assert await checkpoints.earlier_runs(Run("run-2", CAMPAIGN, Agent.EMAIL_VERIFICATION)) == 1
    assert await checkpoints.earlier_runs(Run("run-2", CAMPAIGN, Agent.ENRICHMENT)) == 0


async def test_a_campaign_has_one_pending_request() -> None:
    database = a_database()
    approvals = (await books_of(database)).approvals
    assert await approvals.newest(CAMPAIGN) is None
    first = await approvals.request(RUN, A_REPORT)
    assert await approvals.request(RUN, A_REPORT) == first
    assert await approvals.newest(CAMPAIGN) is ApprovalStatus.PENDING
    rejected = database.tables.approvals[0]._replace(status=ApprovalStatus.REJECTED)
    database.tables.approvals[0] = rejected
    assert await approvals.request(RUN, A_REPORT) != first


# Providers


async def test_equal_questions_share_one_call_and_one_bill() -> None:
    database = a_database()
    source = vendors(database)
    async with database.open(RUN) as books, source.open(RUN, books) as providers:
        both = await asyncio.gather(*(providers.finders[0].find(a_lead(n)) for n in (1, 2)))
        again = await providers.finders[0].find(a_lead(3))
    assert {*both, again} == {Hit("ada@acme.com")}
    assert len(source.asked) == len(database.bills.rows) == 1
    assert providers.spent == PER_HIT.ceiling


async def test_an_answer_is_remembered_by_the_next_run_and_a_failure_is_not() -> None:
    database = a_database()
    source = vendors(database)
    source.verifiers = [verifier("reoon", {"a@b.com": NoAnswer(Gap.DOWN), "c@b.com": NoAnswer(Gap.LOST)})]
    for name in ("run-1", "run-2"):
        run = a_run(name=name)
        async with database.open(run) as books, source.open(run, books) as providers:
            await providers.verifiers[0].verify(a_lead(), "a@b.com")
            await providers.verifiers[0].verify(a_lead(), "c@b.com")
    assert [question.about for question in source.asked] == ["a@b.com", "c@b.com", "a@b.com"]
    (spend,) = database.bills.spend(CAMPAIGN)
    assert (spend.calls, spend.errors, spend.cost, spend.unknown) == (3, 3, ZERO, PER_CALL.ceiling)


async def test_a_call_in_flight_is_settled_although_its_asker_was_cancelled() -> None:
    database = a_database()
    source = vendors(database)
    async with database.open(RUN) as books, source.open(RUN, books) as providers:
        asking = asyncio.ensure_future(providers.finders[0].find(a_lead()))
        await asyncio.sleep(0)
        asking.cancel()
    assert database.bills.cost_of(a_lead().id, Agent.EMAIL_VERIFICATION) == usd("0.01")


def test_time_moves_only_when_it_is_moved() -> None:
    clock = FakeClock()
    assert (clock.now(), clock.monotonic()) == (NOON, 0.0)
    clock.advance(1.5)
    assert ((clock.now() - NOON).total_seconds(), clock.monotonic()) == (1.5, 1.5)
