"""Who is forgotten, statement by statement: whom it means, what it leaves, and who may do it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from phase3_core.budget import Caps
from phase3_core.calls import ReplayClass
from phase3_core.email_result import EmailResult
from phase3_core.errors import BadInput
from phase3_core.forgetting import Pseudonyms
from phase3_core.ledger import End, Granted, Intent, Outcome, Suppressed, digest
from phase3_core.money import usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent, EmailStatus
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.forgetting import Erased, PostgresForgetting
from resources.postgres.ledger import ledger
from tests.conftest import Made, MakeCampaign

Query = Callable[..., list[dict[str, Any]]]

KNOWN = Pseudonyms(b"k" * 32)
ADA = {"first_name": "Ada", "last_name": "Lovelace", "email": "Ada+x@acme.com"}
COMPANY_CALL = ("clearbit", "companies-find")


async def forget(books: PostgresBooks, who: str, known: Pseudonyms = KNOWN) -> Erased:
    forgetting = PostgresForgetting(books.engine, known, [COMPANY_CALL])
    return await forgetting.forget(await forgetting.person(who), {})


def names(query: Query) -> list[Any]:
    return [row["first_name"] for row in query("SELECT first_name FROM leads ORDER BY created_at, id")]


# --- whom it means


async def test_a_person_is_all_leads_with_the_address_the_profile_or_the_name_with_nothing_against_it(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    linkedin = {"first_name": "A.", "email": None, "linkedin_url": "https://LinkedIn.com/in/Ada/"}
    first = make_campaign([ADA | {"linkedin_url": "http://www.linkedin.com/in/ada?x=1"}])
    second = make_campaign([linkedin, ADA | {"email": None}, ADA | {"email": "al@acme.com"}])
    third = make_campaign([ADA | {"email": None, "company_domain": "other.com"}])
    forgetting = PostgresForgetting(books.engine, KNOWN, [])
    person = await forgetting.person("ADA@acme.com")
    assert set(person.ids) == {*first.leads, *second.leads[:2]}
    assert list(person.namesakes) == [second.leads[2]]
    await forgetting.forget(person, {})
    left = {row["id"] for row in query("SELECT id FROM leads WHERE first_name IS NOT NULL")}
    assert left == {second.leads[2], *third.leads}


async def test_an_address_that_phase_2_brought_and_another_replaced_means_its_lead(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    replaced = {"email": "a.l@acme.com", "delivered_email": "ada@old.com", "email_provider": "tomba"}
    campaign = make_campaign([ADA | replaced])
    assert (await forget(books, "ada@old.com")).leads == 1
    again = await PostgresForgetting(books.engine, KNOWN, []).person("a.l@acme.com")
    assert again.ids == [*campaign.leads]


async def test_who_is_no_lead_is_listed_all_the_same_and_an_unknown_lead_is_a_mistake(
    books: PostgresBooks, query: Query
) -> None:
    erased = await forget(books, "nobody@acme.com")
    assert (erased.leads, erased.listed) == (0, 1)
    assert "nobody" not in str(query("SELECT * FROM suppression_list"))
    with pytest.raises(BadInput, match="no lead"):
        await forget(books, str(uuid4()))
    with pytest.raises(BadInput, match="neither an address"):
        await forget(books, "Ada")


async def test_without_a_key_nobody_is_forgotten(books: PostgresBooks, make_campaign: MakeCampaign) -> None:
    make_campaign([ADA])
    with pytest.raises(BadInput, match="PHASE3_FORGET_KEY"):
        await forget(books, "ada@acme.com", Pseudonyms())


# --- what it leaves


async def test_columns_of_phase_2_that_we_know_nothing_of_are_emptied_too(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    query("ALTER TABLE leads ADD COLUMN nickname text, ALTER COLUMN last_name SET NOT NULL")
    campaign = make_campaign([ADA])
    query("UPDATE leads SET nickname = 'Countess'")
    await forget(books, "ada@acme.com")
    (row,) = query("SELECT * FROM leads")
    assert (row["nickname"], row["last_name"]) == (None, f"forgotten {campaign.leads[0]}")


@pytest.mark.parametrize(
    ("type_", "given", "left"),
    [
        ("varchar(20)", "'Countess'", "forgotten 0123456789"),
        ("jsonb", '\'{"nick": "Countess"}\'', {}),
        ("json", '\'{"nick": "Countess"}\'', {}),
        ("text[]", "'{Countess}'", []),
    ],
)
async def test_a_column_of_phase_2_that_must_hold_something_holds_nothing_of_them(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query, type_: str, given: str, left: Any
) -> None:
    query(f"ALTER TABLE leads ADD COLUMN nickname {type_} NOT NULL DEFAULT {given}")
    campaign = make_campaign([ADA])
    await forget(books, "ada@acme.com")
    (row,) = query("SELECT nickname FROM leads")
    known = left.replace("0123456789", str(campaign.leads[0])[:10]) if isinstance(left, str) else left
    assert row["nickname"] == known


async def test_who_merely_has_an_address_or_profile_like_theirs_keeps_what_was_paid_for(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: Callable[..., None], query: Query
) -> None:
    campaign = make_campaign([ADA | {"linkedin_url": "linkedin.com/in/ada"}, {"first_name": "Rada"}])
    book_call(campaign.id, campaign.leads[1], request='{"email": "rada@acme.com"}')
    book_call(campaign.id, None, request='{"profile": "linkedin.com/in/adam"}')
    book_call(campaign.id, None, request='{"email": "ada+news@acme.com"}')
    assert (await forget(books, "ada@acme.com")).calls == 1
    left = query("SELECT request FROM provider_calls WHERE erased_at IS NULL ORDER BY request::text")
    assert [row["request"] for row in left] == [
        {"email": "rada@acme.com"},
        {"profile": "linkedin.com/in/adam"},
    ]


async def test_a_colleague_in_a_campaign_without_them_loses_what_names_them(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    make_campaign([ADA])
    told = {"company_domain": "acme.com", "company_description": "Founded by Lovelace, Ada."}
    elsewhere = {"company_domain": "other.com", "company_description": "Named for Ada Lovelace."}
    make_campaign([{"first_name": "Eve"} | told, {"first_name": "Eve"} | elsewhere])
    assert (await forget(books, "ada@acme.com")).mentions == 1
    rows = query("SELECT company_description AS told FROM leads WHERE first_name = 'Eve' ORDER BY told")
    assert [row["told"] for row in rows] == ["Founded by [forgotten].", "Named for Ada Lovelace."]


async def test_words_of_people_and_programs_lose_the_name(
    books: PostgresBooks, make_campaign: MakeCampaign, query: Query
) -> None:
    colleague = {"first_name": "Eve", "enrichment_data": {"news": "Ada Lovelace joins Acme"}}
    campaign = make_campaign([ADA, colleague], status_reason="ada+x@acme.com bounced")
    await books.campaigns.audit(campaign.id, "note", {"feedback": "ADA LOVELACE called", "leads": 2})
    erased = await forget(books, "ada@acme.com")
    assert erased.mentions == 3
    (told,) = query("SELECT details FROM campaign_audit_log WHERE action = 'note'")
    assert told["details"] == {"feedback": "[forgotten] called", "leads": 2}
    assert query("SELECT status_reason FROM campaigns")[0]["status_reason"] == "[forgotten] bounced"
    (eve,) = query("SELECT enrichment_data FROM leads WHERE first_name = 'Eve'")
    assert eve["enrichment_data"] == {"news": "[forgotten] joins Acme"}
    with pytest.raises(Exception, match="append-only"):
        query("UPDATE campaign_audit_log SET details = '{}'")


async def test_answers_about_the_company_stay_without_the_person(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: Callable[..., None], query: Query
) -> None:
    campaign = make_campaign([ADA])
    provider, operation = COMPANY_CALL
    people = '{"ceo": "ada lovelace", "staff": [{"first": "Ada", "last": "Lovelace"}, {"first": "Ada"}]}'
    of = {"provider": provider, "operation": operation, "request": '{"domain": "acme.com"}'}
    book_call(campaign.id, campaign.leads[0], **of, response=people)
    book_call(campaign.id, None, request='{"first": "ada", "last": "lovelace", "domain": "acme.com"}')
    book_call(campaign.id, None, request='{"first": "ada", "last": "lovelace", "domain": "other.com"}')
    erased = await forget(books, "ada@acme.com")
    assert (erased.calls, erased.mentions) == (1, 1)
    (company,) = query("SELECT response FROM provider_calls WHERE provider = 'clearbit'")
    gone = "[forgotten]"
    assert company["response"] == {"ceo": gone, "staff": [{"first": gone, "last": gone}, {"first": "Ada"}]}
    (other,) = query("SELECT request FROM provider_calls WHERE request <> '{}' AND provider = 'tomba'")
    assert other["request"]["domain"] == "other.com"


# --- under a run


def question(lead: Any) -> Intent:
    request = {"name": "Ada Lovelace"}
    return Intent(
        question=digest("tomba", "find", request),
        provider="tomba",
        operation="find",
        request=request,
        reserved=usd("0.02"),
        lead_id=lead,
        deadline_s=60.0,
        replay=ReplayClass.ON_HIT,
        subjects=(f"lead-{lead}",),
    )


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Made:
    return make_campaign([ADA | {"email_status": None}])


@pytest.mark.parametrize("caps", [None, Caps(agents=dict.fromkeys(Agent, usd("1")))], ids=["", "capped"])
async def test_a_call_in_flight_is_booked_without_its_answer_and_nothing_more_is_granted(
    books: PostgresBooks, campaign: Made, query: Query, caps: Caps | None
) -> None:
    run = Run("run", campaign.id, Agent.EMAIL_VERIFICATION)
    async with ledger(books.engine, run, 86_400.0, caps=caps) as book:
        granted = await book.open(question(campaign.leads[0]))
        assert isinstance(granted, Granted)
        assert (await forget(books, str(campaign.leads[0]))).in_flight == 1
        answer = '{"email": "ada@acme.com"}'
        await book.settle(Outcome(granted.key, End.HIT, usd("0.01"), response=answer, error="Ada"))
        assert await book.open(question(campaign.leads[0])) == Suppressed()
    (row,) = query("SELECT * FROM provider_calls")
    assert (row["state"], row["cost_usd"], row["response"], row["error"]) == (
        "settled",
        usd("0.01"),
        None,
        None,
    )
    assert row["key"] != granted.key
    if caps:
        spent = query("SELECT spent_usd, reserved_usd FROM budgets WHERE agent = 'email_verification'")
        assert spent == [{"spent_usd": usd("0.01"), "reserved_usd": usd("0")}]


async def test_a_call_that_is_lost_afterwards_stays_booked_at_its_worst_price(
    books: PostgresBooks, campaign: Made, query: Query
) -> None:
    run = Run("run", campaign.id, Agent.EMAIL_VERIFICATION)
    async with ledger(books.engine, run, 86_400.0) as book:
        granted = await book.open(question(campaign.leads[0]))
        assert isinstance(granted, Granted)
        await forget(books, str(campaign.leads[0]))
        await book.settle(Outcome(granted.key, End.LOST, usd("0"), error="Ada"))
    (row,) = query("SELECT * FROM provider_calls")
    assert (row["state"], row["unknown_usd"], row["error"]) == ("unknown", usd("0.02"), None)


async def test_a_result_that_arrives_afterwards_is_not_written(
    books: PostgresBooks, database_url: str, campaign: Made, query: Query
) -> None:
    (lead,) = campaign.leads
    await forget(books, str(lead))
    late = EmailResult(lead, EmailStatus.VALID, "ada@acme.com", "tomba", "reoon", 90)
    await books.leads.save_email_results(campaign.id, [late])
    async with PostgresDatabase(database_url, known=KNOWN).reading() as knowing:
        await knowing.leads.suppress_listed(campaign.id)
    assert names(query) == [None]
    assert query("SELECT email, suppressed_at IS NULL AS ours FROM leads") == [{"email": None, "ours": False}]


# --- afterwards


async def test_without_the_key_no_run_begins_while_somebody_is_forgotten(
    books: PostgresBooks, database_url: str, campaign: Made
) -> None:
    await forget(books, "ada@acme.com")
    for known in (Pseudonyms(), Pseudonyms(b"x" * 32)):
        async with PostgresDatabase(database_url, known=known).reading() as stranger:
            with pytest.raises(BadInput, match="PHASE3_FORGET_KEY"):
                await stranger.leads.suppress_listed(campaign.id)


@pytest.mark.parametrize(
    "again",
    [
        ADA | {"email": "ADA@acme.com", "first_name": "Augusta", "company_domain": "new.com"},
        ADA | {"email": None, "company_domain": "www.acme.com"},
        ADA | {"email": None, "last_name": "King", "linkedin_url": "linkedin.com/in/ada"},
    ],
    ids=["by address", "by name", "by profile"],
)
async def test_who_is_imported_again_is_set_aside(
    books: PostgresBooks, database_url: str, make_campaign: MakeCampaign, query: Query, again: dict[str, Any]
) -> None:
    make_campaign([ADA | {"linkedin_url": "https://www.linkedin.com/in/ada"}])
    await forget(books, "ada@acme.com")
    campaign = make_campaign([again, {"first_name": "Eve", "last_name": "Adams", "email": None}])
    async with PostgresDatabase(database_url, known=KNOWN).reading() as knowing:
        await knowing.leads.suppress_listed(campaign.id)
    of = f"WHERE campaign_id = '{campaign.id}' AND suppressed_at IS NOT NULL"
    assert [row["id"] for row in query(f"SELECT id FROM leads {of}")] == [campaign.leads[0]]
