"""Finders and verifiers over the socket: real HTTP, real PostgreSQL, and vendors that keep their own bill."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from phase3_core.calls import Gap, Hit, Judgement, Miss, NoAnswer
from phase3_core.statuses import Reason, Verdict
from resources.providers.catalogue import CATALOGUE
from resources.providers.request import Question
from sandbox.options import Options
from sandbox.people import Person
from sandbox.scenarios import Fate
from tests.resources.providers.market import Market, Query, a_market, hasty, lead_of
from tests.resources.providers.sheet import DANA, EMAIL
from tests.resources.providers.test_client import NO_ANSWERS, ODD, ODD_WORDS
from tests.resources.providers.vendor import FakeTime, Script, answer

pytestmark = pytest.mark.slow

UNLIMITED = Options(latency_ms=0, rate_factor=0)
FINDERS = [row.name for row in CATALOGUE if row.spec.role == "finder"]
BY_PROFILE = [row.name for row in CATALOGUE if row.spec.role == "finder" and len(row.spec.operations) > 1]
VERIFIERS = [row.name for row in CATALOGUE if row.spec.role == "verifier"]
each_finder = pytest.mark.parametrize("name", FINDERS)
each_verifier = pytest.mark.parametrize("name", VERIFIERS)
each = pytest.mark.parametrize("name", [*FINDERS, *VERIFIERS])


@pytest.fixture
async def market(database_url: str, query: Query) -> AsyncIterator[Market]:
    async with a_market(database_url, query, UNLIMITED) as market:
        yield market


def alone(market: Market) -> list[Person]:
    """People with two names and a profile, whose name nobody else of the company bears."""
    names = Counter((person.name.casefold(), person.company.domain) for person in market.people)
    return [
        person
        for person in market.people
        if person.last and person.linkedin and names[person.name.casefold(), person.company.domain] == 1
    ]


def several(market: Market, name: str, fate: Fate = Fate.VALID) -> list[Person]:
    """People whom the finder knows; a verifier knows everybody."""
    fitting = (one for one in alone(market) if one.fate is fate)
    return [one for one in fitting if name in one.finders or name in VERIFIERS]


def who(market: Market, name: str, fate: Fate = Fate.VALID) -> Person:
    return several(market, name, fate)[0]


def stranger(market: Market, finder: str) -> Person:
    """Somebody whom the finder does not know."""
    return next(one for one in alone(market) if finder not in one.finders)


# --- hit and miss ----------------------------------------------------------------------------------------


@each_finder
async def test_a_hit_is_bought_once(market: Market, name: str) -> None:
    person = who(market, name)
    async with market.opened(name) as client:
        reply = await client.ask(Question(lead_of(person)))
        assert isinstance(reply, Hit)
        assert reply.email == person.email
        assert client.tally.spent == (await market.bill())[name]
    assert await market.ask(name, lead_of(person)) == reply
    assert market.vendor(name).account.billed == 1
    await market.assert_books_agree()


@each_finder
async def test_a_miss_is_free_and_asked_once(market: Market, name: str) -> None:
    nobody = lead_of(stranger(market, name))
    assert isinstance(await market.ask(name, nobody), Miss)
    before = market.vendor(name).account.requests
    assert isinstance(await market.ask(name, nobody), Miss)
    assert market.vendor(name).account.requests == before
    assert await market.bill() == {}
    await market.assert_books_agree()


@pytest.mark.parametrize("name", BY_PROFILE)
async def test_a_profile_is_enough(market: Market, name: str) -> None:
    nameless = {"first_name": "", "last_name": "", "company_name": "", "company_domain": ""}
    known, unknown = who(market, name), stranger(market, name)
    reply = await market.ask(name, lead_of(known, **nameless))
    assert isinstance(reply, Hit)
    assert reply.email == known.email
    assert isinstance(await market.ask(name, lead_of(unknown, **nameless)), Miss)
    await market.assert_books_agree()


@pytest.mark.parametrize("name", ["muraena", "voila_norbert", "nimbler", "icypeas", "anymailfinder"])
async def test_a_companys_name_is_enough(market: Market, name: str) -> None:
    person = who(market, name)
    reply = await market.ask(name, lead_of(person, company_domain="", linkedin_url=""))
    assert isinstance(reply, Hit)
    assert reply.email == person.email
    await market.assert_books_agree()


@each_verifier
async def test_a_verdict_is_bought_once(market: Market, name: str) -> None:
    person = who(market, name)
    for _ in range(2):
        reply = await market.ask(name, lead_of(person), person.email)
        assert isinstance(reply, Judgement)
        assert reply.verdict is Verdict.VALID
    assert market.vendor(name).account.billed == 1
    await market.assert_books_agree()


@pytest.mark.parametrize(
    ("name", "fate", "expected"),
    [
        ("reoon", Fate.RISKY, (Verdict.CATCH_ALL, Reason.NONE)),
        ("mailverify", Fate.RISKY, (Verdict.RISKY, Reason.CATCH_ALL_CONFIRMED)),
    ],
)
async def test_a_catch_all_domain(
    market: Market, name: str, fate: Fate, expected: tuple[Verdict, Reason]
) -> None:
    person = who(market, name, fate)
    reply = await market.ask(name, lead_of(person), person.email)
    assert isinstance(reply, Judgement)
    assert (reply.verdict, reply.reason) == expected
    await market.assert_books_agree()


REOONS_WORDS = {
    "safe": (Verdict.VALID, Reason.NONE),
    "invalid": (Verdict.INVALID, Reason.NONE),
    "disabled": (Verdict.INVALID, Reason.DISABLED),
    "role_account": (Verdict.RISKY, Reason.ROLE_ACCOUNT),
    "inbox_full": (Verdict.RISKY, Reason.INBOX_FULL),
    "unknown": (Verdict.UNKNOWN, Reason.NONE),
    "disposable": (Verdict.INVALID, Reason.DISPOSABLE),
    "catch_all": (Verdict.CATCH_ALL, Reason.NONE),
}


async def test_every_verdict_that_the_world_holds(market: Market) -> None:
    world = market.sandbox.parts.world
    by_word = {world.reoon(person.email): person for person in market.people if person.email}
    assert {"safe", "invalid", "catch_all"} <= set(by_word)
    async with market.opened("reoon") as client:
        for word, person in by_word.items():
            reply = await client.ask(Question(lead_of(person), person.email))
            assert isinstance(reply, Judgement)
            assert (reply.verdict, reply.reason) == REOONS_WORDS[word], word
    await market.assert_books_agree()


# --- what stops a vendor ---------------------------------------------------------------------------------


@each
async def test_a_bad_key_parks_the_vendor_for_nothing(market: Market, name: str) -> None:
    market.vendor(name).account.key = "changed"
    person = who(market, name)
    reply = await market.ask(name, lead_of(person), person.email)
    assert isinstance(reply, NoAnswer)
    assert (reply.gap, reply.detail[:7]) == (Gap.PARKED, "bad key")
    await market.assert_books_agree()


@each
async def test_a_balance_that_is_gone_stops_the_vendor_and_one_that_comes_back_is_used(
    market: Market, name: str
) -> None:
    """Tomba says 429 to an empty quota as to one request too many."""
    person, account = who(market, name), market.vendor(name).account
    account.balance = Decimal(0)
    reply = await market.ask(name, lead_of(person), person.email)
    assert isinstance(reply, NoAnswer)
    assert reply.gap is (Gap.LATER if name == "tomba" else Gap.PARKED)
    assert (market.booked("cost_usd"), await market.bill()) == ({}, {})
    account.balance = Decimal(5)
    assert isinstance(await market.ask(name, lead_of(person), person.email), Hit | Judgement)
    await market.assert_books_agree()


# --- what passes -----------------------------------------------------------------------------------------


@each
async def test_one_request_too_many_is_asked_again(market: Market, name: str) -> None:
    people = several(market, name)
    for kind in ("rate_limited", "rate_limited_bare"):
        await market.fault(name, kind, ms=3_000)
        person = people.pop()
        assert isinstance(await market.ask(name, lead_of(person), person.email), Hit | Judgement)
    await market.assert_books_agree()


@pytest.mark.parametrize(
    ("name", "wait"), [("tomba", 3), ("muraena", 3), ("voila_norbert", 2), ("nimbler", 3), ("findymail", 3)]
)
async def test_a_told_wait_is_waited(market: Market, name: str, wait: float) -> None:
    """An epoch without fractions of a second may be told a second early or late."""
    await market.fault(name, "rate_limited", ms=3_000)
    async with market.opened(name) as client:
        await client.ask(Question(lead_of(who(market, name))))
        assert max(hasty(client.clock).slept) >= wait


@each_finder
async def test_a_servers_fault_is_asked_again_where_only_hits_are_billed(market: Market, name: str) -> None:
    await market.fault(name, "server_error")
    person = who(market, name)
    assert isinstance(await market.ask(name, lead_of(person)), Hit)
    assert market.booked("cost_usd") == await market.bill()


@each_verifier
async def test_a_servers_fault_is_not_asked_again_where_calls_are_billed(market: Market, name: str) -> None:
    await market.fault(name, "server_error")
    person = who(market, name)
    reply = await market.ask(name, lead_of(person), person.email)
    assert reply == NoAnswer(Gap.LOST, "an earlier answer was lost and may have been billed")
    assert market.vendor(name).account.requests == 1
    await market.assert_nothing_is_missing()


LOSSES = ("reset_before_billing", "reset_after_billing", "malformed_json", "truncated_json", "html_200")


@each
async def test_the_books_never_show_less_than_the_bill(market: Market, name: str) -> None:
    """Where a repeat is free they show exactly the bill."""
    people = several(market, name)
    for kind in LOSSES:
        await market.fault(name, kind)
        person = people.pop()
        reply = await market.ask(name, lead_of(person), person.email)
        assert isinstance(reply, Hit) or name in VERIFIERS
        await market.assert_nothing_is_missing()
    if name in {"tomba", "voila_norbert", "anymailfinder"}:
        assert market.booked("cost_usd + unknown_usd") == await market.bill()


@each
async def test_wrong_types_are_no_answer(market: Market, name: str) -> None:
    await market.fault(name, "wrong_types", count=None)
    person = who(market, name)
    assert isinstance(await market.ask(name, lead_of(person), person.email), NoAnswer)
    await market.assert_nothing_is_missing()


HICCUPS = ("rate_limited_bare", "server_error", "reset_before_billing", "timeout_before_billing")


@pytest.mark.parametrize(("name", "reading"), [("icypeas", "read"), ("voila_norbert", "contact")])
async def test_a_hiccup_while_reading_a_job_costs_nothing(market: Market, name: str, reading: str) -> None:
    people = several(market, name)
    async with market.opened(name) as client:
        impatient = replace(client.spec.operations[0], timeout_s=0.1)
        client.spec = replace(client.spec, operations=(impatient,))
        for kind in HICCUPS:
            await market.fault(name, kind, operation=reading, count=2)
            assert isinstance(await client.ask(Question(lead_of(people.pop()))), Hit)
    assert market.query("SELECT DISTINCT attempt FROM provider_calls") == [{"attempt": 1}]
    await market.assert_books_agree()


# --- the vendors' rare answers ---------------------------------------------------------------------------

HITS = [
    ("tomba", "position_object"),
    ("tomba", "null_verification"),
    ("tomba", "epoch_reset"),
    ("muraena", "several_results"),
    ("muraena", "other_names"),
    ("voila_norbert", "status_202"),
    ("voila_norbert", "outside_source"),
    ("nimbler", "level_list"),
    ("icypeas", "submit_scheduled"),
    ("icypeas", "found_not_debited"),
    ("anymailfinder", "old_errors"),
    ("anymailfinder", "error_object"),
]


@pytest.mark.parametrize(("name", "variant"), HITS)
async def test_a_rare_form_of_a_hit(market: Market, name: str, variant: str) -> None:
    market.switch(name, variant)
    await market.fault(name, "rate_limited", ms=1_000)
    person = who(market, name)
    reply = await market.ask(name, lead_of(person))
    assert isinstance(reply, Hit)
    assert reply.email == person.email
    await market.assert_books_agree()


MISSES = [
    ("tomba", "empty_list"),
    ("nimbler", "miss_200"),
    ("icypeas", "debited_not_found"),
    ("icypeas", "certainty_not_found"),
    ("findymail", "contact_null"),
    ("findymail", "no_contact"),
    ("findymail", "not_found_404"),
]


@pytest.mark.parametrize(("name", "variant"), MISSES)
async def test_a_rare_form_of_a_miss(market: Market, name: str, variant: str) -> None:
    market.switch(name, variant)
    nobody = lead_of(stranger(market, name))
    assert isinstance(await market.ask(name, nobody), Miss)
    assert isinstance(await market.ask(name, nobody), Miss)
    await market.assert_books_agree()


KNOWN_AND_MISSED = [
    ("muraena", "no_email"),
    ("voila_norbert", "unlocatable_400"),
    ("nimbler", "personal_only"),
    ("anymailfinder", "blacklisted"),
]


@pytest.mark.parametrize(("name", "variant"), KNOWN_AND_MISSED)
async def test_a_person_whom_the_vendor_knows_and_has_no_address_of(
    market: Market, name: str, variant: str
) -> None:
    """Nimbler may bill the record also where no work address is in it."""
    market.switch(name, variant)
    assert isinstance(await market.ask(name, lead_of(who(market, name))), Miss)
    await market.assert_books_agree()


async def test_a_guess_of_anymailfinders_is_free_and_of_low_confidence(market: Market) -> None:
    market.switch("anymailfinder", "risky_catch_all")
    person = who(market, "anymailfinder", Fate.RISKY)
    assert await market.ask("anymailfinder", lead_of(person)) == Hit(person.email, 30)
    assert await market.bill() == {}
    await market.assert_books_agree()


REFUSALS = [
    ("tomba", "error_key", "bad key"),
    ("muraena", "forbidden_403", "bad key"),
    ("nimbler", "bad_key_403", "bad key"),
    ("reoon", "error_4xx", "bad key"),
    ("anymailfinder", "old_errors", "bad key"),
    ("icypeas", "unpaid", "out of credits"),
    ("findymail", "error_200", "out of credits"),
    ("anymailfinder", "error_object", "out of credits"),
    ("reoon", "error_4xx", "out of credits"),
]


@pytest.mark.parametrize(("name", "variant", "why"), REFUSALS)
async def test_a_rare_form_of_a_refusal(market: Market, name: str, variant: str, why: str) -> None:
    account, person = market.vendor(name).account, who(market, name)
    market.switch(name, variant)
    if why == "bad key":
        account.key = "changed"
    elif variant != "unpaid":
        account.balance = Decimal(0)
    reply = await market.ask(name, lead_of(person), person.email)
    assert isinstance(reply, NoAnswer)
    assert reply.detail.startswith(why)
    assert market.booked("cost_usd + unknown_usd") == {}


async def test_a_wrong_base_url_is_never_a_miss(market: Market) -> None:
    market.switch("muraena", "html_404")
    for name in ("tomba", "muraena", "nimbler"):
        person = who(market, name)
        reply = await market.ask(name, lead_of(person), base_url=f"{market.sandbox.url}/{name}/elsewhere")
        assert isinstance(reply, NoAnswer), name
    assert await market.bill() == {}


@pytest.mark.parametrize("name", ["voila_norbert", "icypeas"])
async def test_a_job_that_is_never_done_is_read_by_the_next_run_and_billed_once(
    market: Market, name: str
) -> None:
    vendor, person = market.vendor(name), who(market, name)
    market.switch(name, "never_done")
    assert await market.ask(name, lead_of(person)) == NoAnswer(Gap.DOWN, "the job is not done yet")
    await market.assert_nothing_is_missing()
    vendor.on.clear()
    reply = await market.ask(name, lead_of(person))
    assert isinstance(reply, Hit)
    assert reply.email == person.email
    assert vendor.account.billed == 1
    await market.assert_books_agree()


async def test_an_aborted_search_is_made_once_more(market: Market) -> None:
    market.switch("icypeas", "aborted")
    reply = await market.ask("icypeas", lead_of(stranger(market, "icypeas")))
    assert isinstance(reply, NoAnswer)
    asked = market.sandbox.parts.bill.asked
    assert sum(times for (_, operation, _), times in asked.items() if operation == "find") == 2
    await market.assert_nothing_is_missing()


@pytest.mark.parametrize(
    ("variant", "fate", "expected"),
    [
        ("risky_status", Fate.RISKY, Verdict.CATCH_ALL),
        ("client_words", Fate.RISKY, Verdict.CATCH_ALL),
        ("client_words", Fate.VALID, Verdict.VALID),
    ],
)
async def test_mailverifys_other_words(market: Market, variant: str, fate: Fate, expected: Verdict) -> None:
    market.switch("mailverify", variant)
    person = who(market, "mailverify", fate)
    reply = await market.ask("mailverify", lead_of(person), person.email)
    assert isinstance(reply, Judgement)
    assert reply.verdict is expected
    await market.assert_books_agree()


async def test_an_answer_of_mailverifys_without_a_status_is_lost_and_booked(market: Market) -> None:
    market.switch("mailverify", "no_status")
    person = who(market, "mailverify")
    reply = await market.ask("mailverify", lead_of(person), person.email)
    assert isinstance(reply, NoAnswer)
    assert reply.gap is Gap.LOST
    assert market.booked("unknown_usd") == await market.bill()


async def test_reoons_refusals_with_an_http_status_are_understood(market: Market) -> None:
    market.switch("reoon", "error_4xx")
    await market.fault("reoon", "rate_limited")
    person = who(market, "reoon")
    assert isinstance(await market.ask("reoon", lead_of(person), person.email), Judgement)
    await market.assert_books_agree()


# --- a campaign's worth ----------------------------------------------------------------------------------


async def test_many_leads_come_to_the_vendors_own_bill_and_a_second_run_to_nothing(market: Market) -> None:
    people = alone(market)[:40]
    found = {name: await everybody(market, name, people) for name in FINDERS}
    await market.assert_books_agree()
    bill = await market.bill()
    for name in FINDERS:
        known = [person.email if name in person.finders else None for person in people]
        assert [one.email if isinstance(one, Hit) else None for one in found[name]] == known
        assert await everybody(market, name, people) == found[name]
    assert await market.bill() == bill


async def everybody(market: Market, name: str, people: list[Person]) -> list[object]:
    async with market.opened(name) as client:
        return list(await asyncio.gather(*(client.ask(Question(lead_of(person))) for person in people)))


async def test_no_key_stands_in_the_database(market: Market) -> None:
    for name in [*FINDERS, *VERIFIERS]:
        person = who(market, name)
        assert isinstance(await market.ask(name, lead_of(person), person.email), Hit | Judgement)
        market.vendor(name).account.key = "changed"
        await market.ask(name, lead_of(stranger(market, name)), "nobody@nowhere.example")
    rows = market.query("SELECT row_to_json(calls)::text AS text FROM provider_calls AS calls")
    keys = [value for name, value in market.environment.items() if name.endswith(("_KEY", "_SECRET"))]
    assert len(rows) == 2 * len([*FINDERS, *VERIFIERS])
    assert not [key for key in keys for row in rows if key in row["text"]]


# --- what PostgreSQL takes -------------------------------------------------------------------------------


async def test_odd_answers_are_kept_by_the_real_database(market: Market) -> None:
    for number, text in enumerate(ODD.values()):
        person = lead_of(market.people[0], first_name=f"Dana {number}")
        script = Script(FakeTime(), [answer(text)], 0.0)
        for _ in range(2):
            assert await market.ask("findymail", person, transport=script) == Hit(EMAIL)
        assert len(script.sent) == 1
    rows = market.query("SELECT response, error FROM provider_calls WHERE response IS NOT NULL")
    assert len(rows) == len(ODD)


async def test_what_is_no_json_is_kept_by_the_real_database(market: Market) -> None:
    for number, text in enumerate(NO_ANSWERS.values()):
        script = Script(FakeTime(), [answer(text)], 0.0)
        reply = await market.ask("reoon", DANA, f"{number}@acme.example", transport=script)
        assert isinstance(reply, NoAnswer)
    rows = market.query("SELECT jsonb_typeof(response) AS type FROM provider_calls")
    assert rows == [{"type": "string"}] * len(NO_ANSWERS)


@pytest.mark.parametrize("words", ODD_WORDS)
async def test_odd_words_are_kept_by_the_real_database(market: Market, words: str) -> None:
    script = Script(FakeTime(), [answer(f'{{"error": "{words}"}}', 402)], 0.0)
    reply = await market.ask("findymail", DANA, transport=script)
    assert isinstance(reply, NoAnswer)
    (row,) = market.query("SELECT state, error FROM provider_calls")
    assert row["state"] == "settled"
    assert row["error"].startswith("credit")
