"""Every answer that the finders' sheets describe, and what each is taken for."""

import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest

from phase3_core.calls import Billing, Hit, Miss
from phase3_core.leads import Lead
from resources.providers.answers import Pending, Problem, Remedy
from resources.providers.catalogue import CATALOGUE, Row, row
from resources.providers.finders import (
    anymailfinder,
    findymail,
    icypeas,
    muraena,
    nimbler,
    tomba,
    voila_norbert,
)
from resources.providers.request import Question, Request, own_id
from resources.providers.spec import ProviderSpec
from tests.resources.providers.sheet import (
    ANYMAILFINDER,
    DANA,
    EMAIL,
    FINDYMAIL,
    HTML,
    ICYPEAS,
    ICYPEAS_SUBMITTED,
    KEY,
    MURAENA,
    MURAENA_CONTACT,
    NIMBLER,
    NORBERT,
    NORBERT_SEARCHING,
    TOMBA,
    Said,
    lead,
    operation,
    polled,
    read,
    response,
    without,
)

MISS = Miss()
BAD_KEY, BROKE, LIMITED = Remedy.BAD_KEY, Remedy.OUT_OF_CREDITS, Remedy.RATE_LIMITED
BAD_INPUT, DOWN, NONSENSE, GONE = Remedy.BAD_INPUT, Remedy.DOWN, Remedy.NONSENSE, Remedy.GONE

Case = tuple[str, int, Any, Said]  # what happens, HTTP status, body, what it is taken for


def cases(*examples: Case) -> pytest.MarkDecorator:
    """Parameters, each named for what happens."""
    return pytest.mark.parametrize(
        ("status", "body", "expected"),
        [pytest.param(status, body, expected, id=name) for name, status, body, expected in examples],
    )


def asked(spec: ProviderSpec, name: str, who: Lead = DANA) -> Request | None:
    return operation(spec, name).ask(Question(who))


def chosen(spec: ProviderSpec, who: Lead) -> str:
    """The operation that the client takes for the lead."""
    return next((one.name for one in spec.operations if one.ask(Question(who)) is not None), "none")


# --- Tomba -----------------------------------------------------------------------------------------------

TOMBA_EMPTY = {"data": dict.fromkeys(TOMBA["data"]) | {"score": 0, "sources": []}}


@cases(
    ("found", 200, TOMBA, Hit(EMAIL, 94)),
    (
        "found, position as an object",
        200,
        {"data": TOMBA["data"] | {"position": {"title": "x"}}},
        Hit(EMAIL, 94),
    ),
    ("found, verification null", 200, {"data": TOMBA["data"] | {"verification": None}}, Hit(EMAIL, 94)),
    ("not found, all null", 200, TOMBA_EMPTY, MISS),
    ("not found, empty address", 200, {"data": TOMBA["data"] | {"email": ""}}, MISS),
    ("not found, empty list", 200, {"data": []}, MISS),
    ("no data", 200, {}, NONSENSE),
    ("address is a number", 200, {"data": TOMBA["data"] | {"email": 23}}, NONSENSE),
    ("absurd score", 200, {"data": TOMBA["data"] | {"score": 10**12}}, Hit(EMAIL)),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("no such route", 404, {"errors": {"type": "not_found", "code": 404}}, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("bad parameters", 400, {"errors": {"type": "bad_request", "message": "…", "code": 400}}, BAD_INPUT),
    ("bad key", 401, {"errors": {"type": "unauthorized", "message": "…", "code": 401}}, BAD_KEY),
    ("blocked", 403, {"error": {"type": "forbidden", "message": "…", "code": 403}}, BAD_KEY),
    ("rate or quota", 429, {"errors": {"type": "quota_exceeded", "code": 429}}, LIMITED),
    ("not ready", 202, {"data": {}}, LIMITED),
    ("server fault", 500, {"errors": {"code": 500}}, DOWN),
    ("unavailable", 503, HTML, DOWN),
)
def test_tomba(status: int, body: Any, expected: Said) -> None:
    for name in ("email-finder", "linkedin"):
        assert read(tomba.SPEC, operation(tomba.SPEC, name).read, response(status, body)) == expected


def test_tomba_is_asked_by_both_names() -> None:
    query = {"domain": "acme.example", "first_name": "Dana", "last_name": "Reyes"}
    assert asked(tomba.SPEC, "email-finder") == Request("GET", "/email-finder", query)


def test_tomba_is_asked_by_the_full_name_of_somebody_with_one_name() -> None:
    query = {"domain": "acme.example", "full_name": "Dana"}
    assert asked(tomba.SPEC, "email-finder", lead(last_name="")) == Request("GET", "/email-finder", query)


def test_tomba_is_asked_by_profile() -> None:
    assert asked(tomba.SPEC, "linkedin") == Request("GET", "/linkedin", {"url": DANA.linkedin_url})


@pytest.mark.parametrize(
    ("reset", "wait"),
    [("12", 12.0), ("1790000000", None), ("", None), ("soon", None), ("-3", None), ("9" * 5000, None)],
)
def test_tomba_waits_for_a_reset_in_seconds(reset: str, wait: float | None) -> None:
    problem = tomba.SPEC.problem(response(429, {}, {"x-ratelimit-reset": reset}))
    assert problem == Problem(LIMITED, "HTTP 429", wait)


# --- Muraena ---------------------------------------------------------------------------------------------

STRANGER = MURAENA_CONTACT | {
    "last_name": "Reyeson",
    "email": "d.reyeson@elsewhere.example",
    "company": "Elsewhere",
}
NAMESAKE = MURAENA_CONTACT | {"email": "dana.reyes@elsewhere.example", "company": "Elsewhere"}
BARE = MURAENA_CONTACT | {"email": None, "phone": None}


@cases(
    ("found", 200, MURAENA, Hit(EMAIL)),
    ("found, other field names", 200, {"results": [MURAENA_CONTACT | {"company_name": "x"}]}, Hit(EMAIL)),
    ("a stranger before the person", 200, {"results": [STRANGER, MURAENA_CONTACT]}, Hit(EMAIL)),
    ("a stranger alone", 200, {"results": [STRANGER]}, MISS),
    ("a namesake before the person", 200, {"results": [NAMESAKE, MURAENA_CONTACT]}, Hit(EMAIL)),
    ("two namesakes elsewhere", 200, {"results": [NAMESAKE, NAMESAKE]}, MISS),
    ("one person at another domain", 200, {"results": [NAMESAKE]}, Hit("dana.reyes@elsewhere.example")),
    ("another spelling", 200, {"results": [MURAENA_CONTACT | {"first_name": "DÁNA"}]}, Hit(EMAIL)),
    ("nameless", 200, {"results": [without(MURAENA_CONTACT, "first_name", "last_name")]}, Hit(EMAIL)),
    ("profile without address", 200, {"results": [BARE]}, MISS),
    ("not found", 200, {"results": []}, MISS),
    ("results are no list", 200, {"results": {"0": MURAENA_CONTACT}}, NONSENSE),
    ("results are no objects", 200, {"results": ["dana"]}, NONSENSE),
    ("the address is a number", 200, {"results": [MURAENA_CONTACT | {"email": 23}]}, NONSENSE),
    ("a list", 200, [], NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("bad filters", 400, {"filters": ["This field is required."]}, BAD_INPUT),
    ("bad key", 401, {"detail": "Invalid token."}, BAD_KEY),
    ("plan without the API", 403, {"detail": "…"}, BAD_KEY),
    ("out of credits", 402, {"detail": "Not enough credits."}, BROKE),
    ("no contact", 404, {"detail": "Not found."}, BAD_INPUT),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("rate limit", 429, {"detail": "Request was throttled."}, LIMITED),
    ("server fault", 500, HTML, DOWN),
)
def test_muraena_search(status: int, body: Any, expected: Said) -> None:
    answer = response(status, body, request=asked(muraena.SPEC, "search"))
    assert read(muraena.SPEC, operation(muraena.SPEC, "search").read, answer) == expected


@cases(
    ("revealed", 200, MURAENA_CONTACT, Hit(EMAIL)),
    ("profile without address", 200, BARE, MISS),
    ("address is an object", 200, MURAENA_CONTACT | {"email": {}}, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
)
def test_muraena_reveal(status: int, body: Any, expected: Said) -> None:
    answer = response(status, body, request=asked(muraena.SPEC, "reveal"))
    assert read(muraena.SPEC, operation(muraena.SPEC, "reveal").read, answer) == expected


def test_muraena_finds_the_company_by_name_where_no_domain_was_asked() -> None:
    at_acme = MURAENA_CONTACT | {"email": "dana@acme-mail.example"}
    request = asked(muraena.SPEC, "search", lead(company_domain=""))
    for company in ({"company": "Acme Example"}, {"company": None, "company_name": "Acme Example"}):
        answer = response(200, {"results": [NAMESAKE, at_acme | company]}, request=request)
        assert read(muraena.SPEC, muraena.read, answer) == Hit("dana@acme-mail.example")


@pytest.mark.parametrize(
    ("body", "revealed"),
    [
        (MURAENA, 1),
        ({"results": [STRANGER, MURAENA_CONTACT]}, 2),
        ({"results": [BARE, BARE | {"mobile": "+1"}]}, 1),
        ({"results": []}, 0),
        (MURAENA_CONTACT, 1),
        (BARE, 0),
        (HTML, 0),
    ],
)
def test_muraena_bills_each_profile_that_is_shown(body: Any, revealed: int) -> None:
    assert muraena.revealed(response(200, body)) == Decimal(revealed)


def test_muraena_is_asked_with_reveal() -> None:
    filters = {"first_name": "Dana", "last_name": "Reyes", "domain": "acme.example"}
    body = {"filters": filters, "reveal": True}
    assert asked(muraena.SPEC, "search") == Request("POST", "/api/client_api/search/", body=body)


def test_muraena_is_asked_by_company_name_without_a_domain() -> None:
    request = asked(muraena.SPEC, "search", lead(company_domain="", last_name=""))
    assert request is not None
    assert request.body["filters"] == {"first_name": "Dana", "company": "Acme Example"}


def test_muraena_is_asked_by_profile() -> None:
    query = {"linkedin_url": DANA.linkedin_url}
    assert asked(muraena.SPEC, "reveal") == Request("GET", "/api/client_api/reveal/", query)


# --- Voila Norbert ---------------------------------------------------------------------------------------

NORBERT_MISSED = NORBERT | {"email": None}


@cases(
    ("searching", 200, NORBERT_SEARCHING, Pending("5512")),
    ("searching, 202", 202, NORBERT_SEARCHING, Pending("5512")),
    ("known already", 200, NORBERT, Hit(EMAIL, 100)),
    ("not found already", 200, NORBERT_MISSED, MISS),
    ("searching without an id", 200, without(NORBERT_SEARCHING, "id"), NONSENSE),
    ("no content", 204, "", NONSENSE),
    ("no such route", 404, {"message": "Not found"}, NONSENSE),
    ("wrong base URL", 404, HTML, NONSENSE),
)
def test_norbert_search(status: int, body: Any, expected: Said) -> None:
    spec = voila_norbert.SPEC
    assert read(spec, operation(spec, "search-name").read, response(status, body)) == expected


@cases(
    ("searching", 200, NORBERT_SEARCHING, Pending("5512")),
    ("being worked on", 202, NORBERT_SEARCHING, Pending("")),
    ("being worked on, without a body", 204, "", Pending("")),
    ("found", 200, NORBERT, Hit(EMAIL, 100)),
    ("found, not confirmable", 200, NORBERT | {"email": {"email": EMAIL, "score": 80}}, Hit(EMAIL, 80)),
    ("found, outside source", 200, NORBERT | {"email": {"email": EMAIL, "score": 5}}, Hit(EMAIL, 5)),
    ("found, no score", 200, NORBERT | {"email": {"email": EMAIL}}, Hit(EMAIL)),
    ("found, absurd score", 200, NORBERT | {"email": {"email": EMAIL, "score": 10**12}}, Hit(EMAIL)),
    ("not found", 200, NORBERT_MISSED, MISS),
    ("address is text", 200, NORBERT | {"email": EMAIL}, NONSENSE),
    ("address is a number", 200, NORBERT | {"email": {"email": 5}}, NONSENSE),
    ("searching is no flag", 200, NORBERT | {"searching": "maybe"}, NONSENSE),
    ("the contact was deleted", 404, {"message": "Contact not found"}, GONE),
    ("a page", 200, HTML, NONSENSE),
)
def test_norbert_contact(status: int, body: Any, expected: Said) -> None:
    assert polled(voila_norbert.SPEC, "search-name", response(status, body)) == expected


@cases(
    ("bad input or no such domain", 400, {"message": "The domain could not be located"}, BAD_INPUT),
    ("bad input, in words", 400, "name is required", BAD_INPUT),
    ("bad key", 401, {"message": "Unauthorized"}, BAD_KEY),
    ("out of credits", 402, {"message": "Not enough credits"}, BROKE),
    ("rate limit", 429, {"message": "Too many requests"}, LIMITED),
    ("server fault", 502, HTML, DOWN),
)
def test_norbert_errors(status: int, body: Any, expected: Said) -> None:
    spec, answer = voila_norbert.SPEC, response(status, body)
    assert read(spec, operation(spec, "search-name").read, answer) == expected
    assert polled(spec, "search-name", answer) == expected


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-ratelimit-reset": "1790000030", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 30.0),
        ({"x-ratelimit-reset": "1790000030"}, None),
        ({"x-ratelimit-reset": "1790000030", "date": "yesterday"}, None),
        ({"x-ratelimit-reset": "soon", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, None),
        ({}, None),
    ],
)
def test_norbert_waits_for_the_epoch_by_the_vendors_clock(
    headers: dict[str, str], wait: float | None
) -> None:
    problem = voila_norbert.SPEC.problem(response(429, {}, headers))
    assert problem == Problem(LIMITED, "HTTP 429", wait)


def test_norbert_is_asked_in_a_form() -> None:
    form = {"name": "Dana Reyes", "domain": "acme.example"}
    assert asked(voila_norbert.SPEC, "search-name") == Request("POST", "/search/name", form=form)


def test_norbert_is_asked_by_company_name_without_a_domain() -> None:
    form = {"name": "Dana Reyes", "company": "Acme Example"}
    request = asked(voila_norbert.SPEC, "search-name", lead(company_domain=""))
    assert request == Request("POST", "/search/name", form=form)


def test_norbert_is_read_by_the_contacts_number() -> None:
    poll = operation(voila_norbert.SPEC, "search-name").poll
    assert poll is not None
    assert poll.ask("5512") == Request("GET", "/contacts/5512")


def test_norberts_key_is_the_password() -> None:
    signature = voila_norbert.SPEC.sign({"VOILA_NORBERT_API_KEY": KEY})
    scheme, _, pair = signature.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert pair == b64encode(f"phase3:{KEY}".encode()).decode()


# --- Nimbler ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "credits_used"),
    [
        (NIMBLER, 1),
        (NIMBLER | {"contactEmail": None}, 1),
        ({}, 0),
        (dict.fromkeys(NIMBLER), 0),
        ({"message": "No record found."}, 0),
    ],
)
def test_nimbler_bills_a_record_with_an_address_or_without(body: Any, credits_used: int) -> None:
    assert nimbler.shown(response(200, body)) == Decimal(credits_used)


@cases(
    ("found", 200, NIMBLER, Hit(EMAIL)),
    (
        "found, lists for texts",
        200,
        NIMBLER | {"contactTitleLevel": ["Head"], "companyEmployees": 51},
        Hit(EMAIL),
    ),
    (
        "personal address alone",
        200,
        NIMBLER | {"contactEmail": None, "contactPersonalEmail": "dana@webmail.example"},
        MISS,
    ),
    ("record without address", 200, without(NIMBLER, "contactEmail"), MISS),
    ("empty record", 200, {}, MISS),
    ("address is a list", 200, NIMBLER | {"contactEmail": [EMAIL]}, NONSENSE),
    ("a list", 200, [NIMBLER], NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("no record", 404, {"message": "No record found."}, BAD_INPUT),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("bad seeds", 400, {"message": "…"}, BAD_INPUT),
    ("bad key", 401, {"message": "Unauthorized"}, BAD_KEY),
    ("bad key, 403", 403, "Forbidden", BAD_KEY),
    ("out of credits", 402, {"message": "Insufficient credits"}, BROKE),
    ("rate limit", 429, {"message": "Too many requests"}, LIMITED),
    ("server fault", 500, {"message": "…"}, DOWN),
)
def test_nimbler(status: int, body: Any, expected: Said) -> None:
    for name in ("append-linkedin", "append-name"):
        assert read(nimbler.SPEC, operation(nimbler.SPEC, name).read, response(status, body)) == expected


def test_nimbler_is_asked_by_profile_where_there_is_one() -> None:
    assert chosen(nimbler.SPEC, DANA) == "append-linkedin"
    body = {"linkedinUrl": DANA.linkedin_url}
    assert asked(nimbler.SPEC, "append-linkedin") == Request("POST", "/append/contact", body=body)


def test_nimbler_is_asked_by_the_companys_name_never_by_its_domain() -> None:
    body = {"firstName": "Dana", "lastName": "Reyes", "company": "Acme Example"}
    assert asked(nimbler.SPEC, "append-name") == Request("POST", "/append/contact", body=body)
    assert chosen(nimbler.SPEC, lead(linkedin_url="", company_name="")) == "none"


# --- Icypeas ---------------------------------------------------------------------------------------------


def icypeas_item(**changes: Any) -> dict[str, Any]:
    return {**ICYPEAS, "items": [ICYPEAS["items"][0] | changes]}


def icypeas_emails(*emails: Any) -> dict[str, Any]:
    return icypeas_item(results={"emails": list(emails)})


VALIDATION = {"success": False, "validationErrors": [{"field": "domainOrCompany", "type": "required"}]}
UNPAID = {"success": False, "error": "UnpaidSubscriptionError"}
UNKNOWN_SEARCH = {"success": False, "error": "SearchNotFoundError"}


@cases(
    ("taken", 200, ICYPEAS_SUBMITTED, Pending("abc123")),
    (
        "scheduled",
        200,
        {"success": True, "item": {"_id": "abc123", "status": "SCHEDULED"}},
        Pending("abc123"),
    ),
    ("no id", 200, {"success": True, "item": {"status": "NONE"}}, NONSENSE),
    ("bad input", 200, VALIDATION, BAD_INPUT),
    ("unpaid", 200, UNPAID, BROKE),
    (
        "unpaid, elsewhere in the body",
        400,
        {"success": False, "item": {"name": "UnpaidSubscriptionError"}},
        BROKE,
    ),
    ("unknown user", 200, {"success": False, "error": "UserNotFoundError"}, BAD_KEY),
    ("refused without a name", 200, {"success": False}, NONSENSE),
    ("bad key", 401, {"success": False, "message": "Unauthorized"}, BAD_KEY),
    ("rate limit", 429, {"success": False, "message": "Too many requests"}, LIMITED),
    ("no such route", 404, {"success": False, "message": "Not found"}, NONSENSE),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("server fault", 500, {"success": False}, DOWN),
)
def test_icypeas_submission(status: int, body: Any, expected: Said) -> None:
    spec = icypeas.SPEC
    assert read(spec, operation(spec, "email-search").read, response(status, body)) == expected


@cases(
    ("not begun", 200, icypeas_item(status="NONE"), Pending("")),
    ("scheduled", 200, icypeas_item(status="SCHEDULED"), Pending("")),
    ("searching", 200, icypeas_item(status="IN_PROGRESS"), Pending("")),
    ("found and charged", 200, ICYPEAS, Hit(EMAIL, 99)),
    ("found", 200, icypeas_item(status="FOUND"), Hit(EMAIL, 99)),
    ("very sure", 200, icypeas_emails({"email": EMAIL, "certainty": "very_sure"}), Hit(EMAIL, 99)),
    ("probable", 200, icypeas_emails({"email": EMAIL, "certainty": "probable"}), Hit(EMAIL, 95)),
    ("sure", 200, icypeas_emails({"email": EMAIL, "certainty": "sure"}), Hit(EMAIL, 95)),
    ("certainty as a number", 200, icypeas_emails({"email": EMAIL, "certainty": 90}), Hit(EMAIL)),
    ("found, entry says not found", 200, icypeas_emails({"email": "", "certainty": "not_found"}), MISS),
    (
        "an entry says not found, the next is good",
        200,
        icypeas_emails(
            {"email": "x@acme.example", "certainty": "not_found"}, {"email": EMAIL, "certainty": "sure"}
        ),
        Hit(EMAIL, 95),
    ),
    ("not found", 200, icypeas_item(status="NOT_FOUND", results={"emails": []}), MISS),
    ("charged, not found", 200, icypeas_item(status="DEBITED_NOT_FOUND", results={"emails": []}), MISS),
    ("charged, no entry", 200, icypeas_emails(), MISS),
    ("emails are no list", 200, icypeas_item(results={"emails": {"0": {}}}), NONSENSE),
    ("address is a number", 200, icypeas_emails({"email": 23, "certainty": "sure"}), NONSENSE),
    ("bad input", 200, icypeas_item(status="BAD_INPUT"), BAD_INPUT),
    ("out of credits", 200, icypeas_item(status="INSUFFICIENT_FUNDS"), BROKE),
    ("aborted", 200, icypeas_item(status="ABORTED"), DOWN),
    ("a status of the future", 200, icypeas_item(status="PONDERING"), NONSENSE),
    ("no items", 200, {"success": True, "items": []}, NONSENSE),
    ("unknown search", 200, UNKNOWN_SEARCH, DOWN),
    ("unknown search, 404", 404, UNKNOWN_SEARCH, DOWN),
    ("bad key", 401, {"success": False}, BAD_KEY),
    ("rate limit", 429, {"success": False}, LIMITED),
    ("a page", 200, HTML, NONSENSE),
)
def test_icypeas_reading(status: int, body: Any, expected: Said) -> None:
    assert polled(icypeas.SPEC, "email-search", response(status, body)) == expected


@pytest.mark.parametrize(
    ("body", "credits_used"),
    [
        (icypeas_emails({"email": EMAIL, "certainty": "sure"}), 1),
        (icypeas_emails({"email": EMAIL, "certainty": "undeliverable"}), 1),
        (icypeas_emails(), 1),
        (icypeas_item(status="NOT_FOUND"), 0),
        (icypeas_item(status="DEBITED_NOT_FOUND"), 0),
    ],
)
def test_icypeas_charges_what_ends_as_found_whatever_is_in_it(body: Any, credits_used: int) -> None:
    assert icypeas.charged(response(200, body)) == Decimal(credits_used)


def test_icypeas_is_asked_with_an_id_of_our_own() -> None:
    request = asked(icypeas.SPEC, "email-search")
    assert request is not None
    assert (request.method, request.path) == ("POST", "/email-search")
    assert without(request.body, "custom") == {
        "firstname": "Dana",
        "lastname": "Reyes",
        "domainOrCompany": "acme.example",
    }
    assert list(request.body["custom"]) == ["externalId"]


def test_icypeas_gets_the_same_id_for_the_same_question_only() -> None:
    same = [asked(icypeas.SPEC, "email-search", lead(score=score)) for score in (1, 99)]
    other = asked(icypeas.SPEC, "email-search", lead(first_name="Dina"))
    ids = [request.body["custom"]["externalId"] for request in (*same, other) if request is not None]
    assert len(ids) == 3
    assert len(set(ids)) == 2


def test_icypeas_id_does_not_depend_on_the_order_of_the_fields() -> None:
    assert own_id({"firstname": "Dana", "lastname": "Reyes"}) == own_id(
        {"lastname": "Reyes", "firstname": "Dana"}
    )


def test_icypeas_may_find_somebody_named_like_an_error() -> None:
    assert polled(icypeas.SPEC, "email-search", response(200, icypeas_item(name="Unpaid"))) == Hit(EMAIL, 99)


def test_icypeas_needs_one_name_and_a_company() -> None:
    one_name = asked(icypeas.SPEC, "email-search", lead(first_name="", company_domain=""))
    assert one_name is not None
    assert without(one_name.body, "custom") == {"lastname": "Reyes", "domainOrCompany": "Acme Example"}
    assert asked(icypeas.SPEC, "email-search", lead(first_name="", last_name="")) is None


def test_icypeas_is_read_by_the_searchs_id_never_faster_than_allowed() -> None:
    poll = operation(icypeas.SPEC, "email-search").poll
    assert poll is not None
    assert poll.ask("abc123") == Request("POST", "/bulk-single-searchs/read", body={"id": "abc123"})
    assert poll.every_s >= 3
    assert row("icypeas").terms.limits.reads_per_minute == 30


# --- Anymailfinder ---------------------------------------------------------------------------------------

NOT_FOUND = dict.fromkeys(ANYMAILFINDER) | {"credits_charged": 0, "email_status": "not_found"}
RISKY = ANYMAILFINDER | {"credits_charged": 0, "email_status": "risky", "valid_email": None}


@cases(
    ("valid", 200, ANYMAILFINDER, Hit(EMAIL, 99)),
    ("valid, valid_email alone", 200, ANYMAILFINDER | {"email": None}, Hit(EMAIL, 99)),
    ("valid, valid_email absent", 200, without(ANYMAILFINDER, "valid_email"), Hit(EMAIL, 99)),
    ("risky", 200, RISKY, Hit(EMAIL, 30)),
    ("risky, no guess", 200, RISKY | {"email": None}, MISS),
    ("not found", 200, NOT_FOUND, MISS),
    ("blacklisted", 200, NOT_FOUND | {"email_status": "blacklisted"}, MISS),
    ("valid_email is a flag", 200, ANYMAILFINDER | {"valid_email": True}, NONSENSE),
    ("a status of the future", 200, ANYMAILFINDER | {"email_status": "hopeful"}, NONSENSE),
    ("no status", 200, {}, NONSENSE),
    ("an error as text", 200, {"error": "bad_request", "message": "…"}, NONSENSE),
    ("an error as an object", 200, {"error": {"message": "…"}}, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("malformed", 400, {"error": "bad_request", "message": "…"}, BAD_INPUT),
    ("bad key", 401, {"error": "not_authorized", "error_explained": "…"}, BAD_KEY),
    ("out of credits", 402, {"error": {"message": "…"}}, BROKE),
    ("nobody", 404, {"error": "not_found"}, BAD_INPUT),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("rate limit", 429, {"error": "too_many_requests"}, LIMITED),
    ("busy", 503, {"error": "server_busy", "error_explained": "…"}, LIMITED),
    ("busy, as an object", 503, {"error": {"message": "The server is busy."}}, LIMITED),
    ("unavailable", 503, HTML, DOWN),
    ("server fault", 500, {"error": "oops"}, DOWN),
)
def test_anymailfinder(status: int, body: Any, expected: Said) -> None:
    for name in ("find-person", "find-linkedin"):
        spec = anymailfinder.SPEC
        assert read(spec, operation(spec, name).read, response(status, body)) == expected


@pytest.mark.parametrize(
    ("body", "charged"),
    [
        (ANYMAILFINDER, "1"),
        (ANYMAILFINDER | {"credits_charged": 0}, "0"),
        (ANYMAILFINDER | {"credits_charged": 0.2}, "0.2"),
        (ANYMAILFINDER | {"credits_charged": "2"}, "2"),
        (RISKY, "0"),
        (without(ANYMAILFINDER, "credits_charged"), "1"),
        (without(NOT_FOUND, "credits_charged"), "0"),
        (ANYMAILFINDER | {"credits_charged": -4}, "1"),
        (ANYMAILFINDER | {"credits_charged": True}, "1"),
        (json.dumps(ANYMAILFINDER | {"credits_charged": float("inf")}), "1"),
        (HTML, "0"),
    ],
)
def test_anymailfinders_answer_says_what_it_cost(body: Any, charged: str) -> None:
    assert anymailfinder.charged(response(200, body)) == Decimal(charged)


def test_anymailfinder_gets_the_profile_as_a_hint() -> None:
    assert asked(anymailfinder.SPEC, "find-person") == Request(
        "POST",
        "/find-email/person",
        body={
            "first_name": "Dana",
            "last_name": "Reyes",
            "domain": "acme.example",
            "linkedin_url": DANA.linkedin_url,
        },
    )


def test_anymailfinder_is_asked_by_full_name_and_company_name() -> None:
    request = asked(anymailfinder.SPEC, "find-person", lead(last_name="", company_domain="", linkedin_url=""))
    assert request is not None
    assert request.body == {"full_name": "Dana", "company_name": "Acme Example"}


def test_anymailfinder_is_asked_by_profile() -> None:
    body = {"linkedin_url": DANA.linkedin_url}
    assert asked(anymailfinder.SPEC, "find-linkedin") == Request(
        "POST", "/find-email/linkedin-url", body=body
    )


def test_anymailfinder_is_given_the_three_minutes_it_asks_for() -> None:
    assert all(one.timeout_s >= 180 for one in anymailfinder.SPEC.operations)


# --- Findymail -------------------------------------------------------------------------------------------


@cases(
    ("found", 200, FINDYMAIL, Hit(EMAIL)),
    (
        "found, three fields",
        200,
        {"contact": {"name": "Dana Reyes", "email": EMAIL, "domain": "x"}},
        Hit(EMAIL),
    ),
    ("not found", 200, {"contact": FINDYMAIL["contact"] | {"email": None}}, MISS),
    ("null contact", 200, {"contact": None}, MISS),
    ("no contact", 200, {}, MISS),
    ("not found, 404", 404, {"message": "No contact found."}, BAD_INPUT),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("address is a number", 200, {"contact": FINDYMAIL["contact"] | {"email": 23}}, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("bad key", 401, {"message": "Unauthenticated."}, BAD_KEY),
    ("bad key without Accept", 403, HTML, BAD_KEY),
    ("out of credits", 402, {"error": "Not enough credits"}, BROKE),
    ("out of credits, 200", 200, {"error": "Not enough credits"}, BROKE),
    ("an error with 200", 200, {"error": "Something else"}, NONSENSE),
    ("paused", 423, {"error": "Subscription is paused"}, BROKE),
    ("paused, no body", 423, "", BROKE),
    ("validation", 422, {"message": "…", "errors": {"domain": ["…"]}}, BAD_INPUT),
    ("rate limit", 429, {"message": "Too Many Attempts."}, LIMITED),
    ("server fault", 500, {"message": "Server Error"}, DOWN),
)
def test_findymail(status: int, body: Any, expected: Said) -> None:
    for name in ("search-name", "search-linkedin"):
        assert read(findymail.SPEC, operation(findymail.SPEC, name).read, response(status, body)) == expected


def test_findymail_is_asked_by_name_and_domain() -> None:
    body = {"name": "Dana Reyes", "domain": "acme.example"}
    assert asked(findymail.SPEC, "search-name") == Request("POST", "/api/search/name", body=body)


def test_findymail_is_asked_by_profile() -> None:
    body = {"linkedin_url": DANA.linkedin_url}
    assert asked(findymail.SPEC, "search-linkedin") == Request("POST", "/api/search/linkedin", body=body)


def test_findymail_is_asked_for_json() -> None:
    headers = findymail.SPEC.sign({"FINDYMAIL_API_KEY": KEY}).headers
    assert headers == {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}


# --- all of them -----------------------------------------------------------------------------------------

FINDERS = [one for one in CATALOGUE if one.spec.role == "finder"]
each_finder = pytest.mark.parametrize("one", FINDERS, ids=lambda one: one.name)


def test_the_waterfalls_order() -> None:
    assert [one.name for one in FINDERS] == [
        "tomba",
        "muraena",
        "voila_norbert",
        "nimbler",
        "icypeas",
        "anymailfinder",
        "findymail",
    ]


@each_finder
def test_a_lead_without_anything_is_not_asked_about(one: Row) -> None:
    nobody = lead(first_name="", last_name="", company_name="", company_domain="", linkedin_url="")
    assert chosen(one.spec, nobody) == "none"


@each_finder
def test_a_name_without_a_company_is_not_asked_about(one: Row) -> None:
    assert chosen(one.spec, lead(company_name="", company_domain="", linkedin_url="")) == "none"


@each_finder
def test_a_profile_alone_is_enough_where_the_vendor_takes_one(one: Row) -> None:
    profile = lead(first_name="", last_name="", company_name="", company_domain="")
    assert (chosen(one.spec, profile) == "none") == (one.name in {"voila_norbert", "icypeas"})


@each_finder
def test_a_told_wait_is_kept(one: Row) -> None:
    problem = one.spec.problem(response(429, {}, {"retry-after": "7"}))
    assert problem is not None
    assert problem.remedy is LIMITED
    assert problem.wait_s == 7.0


@each_finder
def test_no_secret_stands_in_a_request(one: Row) -> None:
    signature = one.spec.sign(dict.fromkeys(one.spec.secrets, KEY))
    signed = json.dumps([dict(signature.headers), dict(signature.query)])
    assert KEY in signed or b64encode(f"phase3:{KEY}".encode()).decode() in signed
    for operation_ in one.spec.operations:
        request = operation_.ask(Question(DANA))
        assert request is not None
        assert KEY not in json.dumps(request.as_json())


@pytest.mark.parametrize(
    ("spec", "header"),
    [
        (tomba.SPEC, {"X-Tomba-Key": KEY, "X-Tomba-Secret": KEY}),
        (muraena.SPEC, {"Authorization": f"Token {KEY}"}),
        (nimbler.SPEC, {"Authorization": f"Bearer {KEY}"}),
        (icypeas.SPEC, {"Authorization": KEY}),
        (anymailfinder.SPEC, {"Authorization": KEY}),
    ],
    ids=lambda given: given.name if isinstance(given, ProviderSpec) else "",
)
def test_the_key_stands_in_the_vendors_header(spec: ProviderSpec, header: dict[str, str]) -> None:
    assert spec.sign(dict.fromkeys(spec.secrets, KEY)).headers == header


@each_finder
def test_unconfirmed_protocols_need_an_opt_in(one: Row) -> None:
    assert one.terms.confirmed == (one.name not in {"muraena", "nimbler"})


@each_finder
def test_who_counts_credits_can_read_them(one: Row) -> None:
    counts = one.terms.price.billing is Billing.PER_CREDIT
    assert all((operation_.credits is not None) == counts for operation_ in one.spec.operations)
