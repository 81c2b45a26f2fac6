"""Who is on the suppression list: the ledger grants nothing about them, and their leads are set aside."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from phase3_core.budget import Caps
from phase3_core.calls import ReplayClass
from phase3_core.email_result import EmailResult
from phase3_core.enrichment import EnrichmentResult
from phase3_core.ledger import End, Granted, Intent, Outcome, Suppressed, digest
from phase3_core.money import usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent, EmailStatus
from resources.postgres import ledger as ledger_module
from resources.postgres.database import PostgresBooks, driver_url
from resources.postgres.dossier import dossier
from resources.postgres.ledger import PostgresLedger, ledger
from resources.postgres.ledger_rows import Asking, calls
from tests.attacks import attack, replaced
from tests.conftest import Made, MakeCampaign

Query = Callable[..., list[dict[str, Any]]]

WEEK_S = 7 * 86_400.0
CAPPED = Caps(agents=dict.fromkeys(Agent, usd("1")))


def about(*subjects: str, name: str = "Ada") -> Intent:
    request = {"name": name}
    question = digest("tomba", "find", request)
    return Intent(
        question, "tomba", "find", request, usd("0.01"), None, 60.0, ReplayClass.ON_HIT, subjects=subjects
    )


@pytest.fixture(params=[None, CAPPED], ids=["without caps", "within caps"])
async def book(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[PostgresLedger]:
    engine = create_async_engine(driver_url(database_url))
    run = Run(uuid4().hex, uuid4(), Agent.EMAIL_VERIFICATION)
    async with ledger(engine, run, WEEK_S, caps=request.param) as book:
        yield book
    await engine.dispose()


def listed(query: Query, *, email: str | None = None, domain: str | None = None) -> None:
    query("INSERT INTO suppression_list (email, domain) VALUES (:email, :domain)", email=email, domain=domain)


# --- the ledger


def about_nobody(askings: Sequence[Asking]) -> dict[str, Any]:
    """What a ledger that knows no suppression list would ask."""
    return calls(askings) | {"subjects": [""] * len(askings)}


@attack(
    "People",
    "Somebody on the suppression list comes back spelled otherwise, with a tag, or below a listed domain",
    defence="The ledger grants no call about who is listed; both sides are compared in one spelling",
    without=replaced((ledger_module, "calls", about_nobody)),
)
@pytest.mark.parametrize(
    "entry", [{"email": " Ada+news@ACME.com"}, {"domain": "https://www.Acme.com/"}, {"domain": "ACME.COM"}]
)
async def test_nothing_is_granted_about_who_is_listed_however_written(
    book: PostgresLedger, query: Query, entry: dict[str, str]
) -> None:
    listed(query, **entry)
    assert await book.open(about("acme.com", "ada@acme.com")) == Suppressed()
    assert isinstance(await book.open(about("other.com", name="Eve")), Granted)
    assert [row["request"] for row in query("SELECT request FROM provider_calls")] == [{"name": "Eve"}]


async def test_who_is_listed_between_two_batches_is_in_no_later_request(
    book: PostgresLedger, query: Query
) -> None:
    assert isinstance(await book.open(about("acme.com")), Granted)
    listed(query, domain="acme.com")
    assert await book.open(about("acme.com", name="Eve")) == Suppressed()


async def test_one_batch_holds_both_who_is_listed_and_who_is_not(book: PostgresLedger, query: Query) -> None:
    listed(query, email="eve@acme.com")
    names = [f"{number}" for number in range(20)]
    intents = [about(f"{'eve' if int(name) % 2 else name}@acme.com", name=name) for name in names]
    opened = await asyncio.gather(*map(book.open, intents))
    assert [isinstance(one, Suppressed) for one in opened] == [bool(int(name) % 2) for name in names]
    assert len(query("SELECT FROM provider_calls")) == 10


@pytest.mark.parametrize("end", [End.REFUSED, End.LOST])
async def test_a_call_that_failed_is_not_repeated_once_its_subject_is_listed(
    book: PostgresLedger, query: Query, end: End
) -> None:
    granted = await book.open(about("ada@acme.com"))
    assert isinstance(granted, Granted)
    await book.settle(Outcome(granted.key, end, usd("0"), error=end.value))
    listed(query, email="ada@acme.com")
    assert await book.open(about("ada@acme.com")) == Suppressed()
    assert query("SELECT attempt, state FROM provider_calls")[0]["attempt"] == 1


async def test_a_refused_call_reserves_nothing(book: PostgresLedger, query: Query) -> None:
    listed(query, domain="acme.com")
    await book.open(about("acme.com"))
    assert all(not row["reserved_usd"] for row in query("SELECT reserved_usd FROM budgets"))


def test_an_index_answers_also_before_the_list_is_analyzed(query: Query) -> None:
    numbers = "generate_series(1, 2000) AS number"
    query(f"INSERT INTO suppression_list (email) SELECT number || '@acme.com' FROM {numbers}")
    listed_by = "WHERE listed.subject = ANY (string_to_array(q.subjects, ' ')) LIMIT 1"
    of_each = f"(SELECT true FROM suppressed_subjects AS listed {listed_by})"
    plan = query(f"EXPLAIN SELECT FROM unnest(ARRAY['a b', 'c']) AS q(subjects) WHERE {of_each}")
    assert not [row for row in plan if "Seq Scan" in row["QUERY PLAN"]]


# --- leads

PEOPLE: tuple[dict[str, Any], ...] = (
    {"first_name": "Ada", "last_name": "Lovelace", "company_domain": "acme.com", "email": "Ada+x@Home.org"},
    {"first_name": "Grace", "last_name": "Hopper", "company_domain": "acme.com", "email": None},
    {"first_name": "Mary", "last_name": "Shelley", "company_domain": "mail.blocked.com", "email": None},
    {
        "first_name": "Alan",
        "last_name": "Turing",
        "company_domain": "acme.com",
        "email": "at@eu.blocked.com",
    },
    {"first_name": "Kurt", "last_name": "Gödel", "company_domain": "free.com", "email": None},
)


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Made:
    return make_campaign([{**person, "email_status": None} for person in PEOPLE])


async def pending(books: PostgresBooks, campaign: Made) -> set[str]:
    page = await books.leads.get_campaign_leads(campaign.id, needs_verification=True)
    return {lead.first_name for lead in page}


async def test_leads_are_known_by_address_name_and_domain(
    books: PostgresBooks, campaign: Made, query: Query
) -> None:
    listed(query, email="ada@home.org")
    listed(query, email="G.Hopper@acme.com")
    listed(query, domain="blocked.com")
    await books.leads.suppress_listed(campaign.id)
    assert await pending(books, campaign) == {"Kurt"}
    counts = await books.campaigns.counts(campaign.id)
    assert (counts.suppressed, counts.pending_verification) == (4, 1)
    assert (await books.campaigns.campaign(campaign.id)).leads == 1


async def test_who_is_taken_off_the_list_is_a_lead_again(
    books: PostgresBooks, campaign: Made, query: Query
) -> None:
    listed(query, domain="acme.com")
    await books.leads.suppress_listed(campaign.id)
    assert await pending(books, campaign) == {"Mary", "Kurt"}
    query("DELETE FROM suppression_list")
    await books.leads.suppress_listed(campaign.id)
    assert len(await pending(books, campaign)) == len(PEOPLE)


def found(lead_id: UUID, email: str) -> EmailResult:
    return EmailResult(lead_id, EmailStatus.VALID, email, "tomba", "reoon", 90)


async def test_a_found_address_that_is_listed_is_not_kept_and_its_lead_stays_set_aside(
    books: PostgresBooks, campaign: Made, query: Query
) -> None:
    kurt = campaign.leads[4]
    listed(query, email="the.logician@free.com")
    await books.leads.save_email_results(campaign.id, [found(kurt, "The.Logician+a@free.com")])
    await books.leads.suppress_listed(campaign.id)
    assert "Kurt" not in await pending(books, campaign)
    assert not query("SELECT FROM leads WHERE lower(leads::text) LIKE '%logician%'")
    query("DELETE FROM suppression_list")
    await books.leads.suppress_listed(campaign.id)
    assert "Kurt" in await pending(books, campaign)


async def test_a_lead_that_the_ledger_refused_is_set_aside(books: PostgresBooks, campaign: Made) -> None:
    ada, grace, *_ = campaign.leads
    await books.leads.save_email_results(campaign.id, [EmailResult(ada, None, suppressed=True)])
    await books.leads.save_enrichment_results(campaign.id, [EnrichmentResult(grace, None, suppressed=True)])
    assert not {"Ada", "Grace"} & await pending(books, campaign)
    assert (await dossier(books.engine, books.leads, ada)).as_json()["suppressed"] is True


def test_phase_4_does_not_see_who_was_listed_after_the_last_run(
    make_campaign: MakeCampaign, query: Query
) -> None:
    ready = {"email_status": "valid", "enrichment_status": "enriched", "lead_tier": "A"}
    make_campaign(
        [{**ready, "company_domain": "acme.com", "email": "Ada+x@mail.acme.com"}],
        status="approved_for_personalization",
        personalization_scope="tier_a_only",
    )
    assert len(query("SELECT FROM approved_leads")) == 1
    listed(query, email="ada@mail.acme.com")
    assert not query("SELECT FROM approved_leads")
    query("DELETE FROM suppression_list")
    listed(query, domain="acme.com")
    assert not query("SELECT FROM approved_leads")
