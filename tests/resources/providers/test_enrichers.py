"""Every answer that the enrichers' sheets describe, and what each is taken for."""

import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase3_core.calls import Billing, Facts, Miss
from phase3_core.enrichment import COLUMNS, FIELDS_OF
from phase3_core.leads import Lead
from resources.providers.answers import Pending, Problem, Remedy
from resources.providers.catalogue import CATALOGUE, Row, row
from resources.providers.enrichers import (
    apollo,
    apollo_people,
    builtwith,
    clearbit,
    people_data_labs,
    website,
    zoominfo,
    zoominfo_company,
    zoominfo_contact,
    zoominfo_intent,
    zoominfo_legacy,
    zoominfo_token,
)
from resources.providers.request import Question, Request
from resources.providers.response import Response
from resources.providers.signing import TOKEN, Token
from resources.providers.spec import ProviderSpec
from tests.resources.providers.sheet import DANA, EMAIL, HTML, KEY, Said, lead, read, response, without

MISS = Miss()
BAD_KEY, BROKE, LIMITED = Remedy.BAD_KEY, Remedy.OUT_OF_CREDITS, Remedy.RATE_LIMITED
BAD_INPUT, DOWN, NONSENSE = Remedy.BAD_INPUT, Remedy.DOWN, Remedy.NONSENSE
NOT_IN_PLAN = Remedy.NOT_IN_PLAN
WRITABLE = lead(email=EMAIL)
OPTIONS = {"ZOOMINFO_INTENT_TOPICS": "Warehouse Automation, Robotics", "WEB_SEARCH_MODEL": "claude-x"}
DATED = {"date": "Sun, 22 Nov 2026 09:00:00 GMT"}

Case = tuple[str, int, Any, Said]  # what happens, HTTP status, body, what it is taken for


def cases(*examples: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("status", "body", "expected"),
        [pytest.param(status, body, expected, id=name) for name, status, body, expected in examples],
    )


def asked(spec: ProviderSpec, who: Lead = WRITABLE) -> Request | None:
    return spec.operations[0].ask(Question(who, options=OPTIONS))


def answered(spec: ProviderSpec, status: int, body: Any, who: Lead = WRITABLE) -> Said:
    return read(spec, spec.operations[0].read, response(status, body, {}, asked(spec, who)))


def fields(spec: ProviderSpec, body: Any, who: Lead = WRITABLE) -> dict[str, Any]:
    """What is known, without what is empty."""
    facts = answered(spec, 200, body, who)
    assert isinstance(facts, Facts)
    return {name: value for name, value in facts.fields.items() if value not in (None, "", [], {})}


# --- Clearbit --------------------------------------------------------------------------------------------

CLEARBIT = {
    "id": "c0ffee00-1111-4222-8333-444455556666",
    "name": "Acme Example",
    "domain": "acme.example",
    "site": {"phoneNumbers": ["+1 512-555-0143", "+1 512-555-0144"], "emailAddresses": []},
    "category": {"sector": "Industrials", "industry": "Machinery", "subIndustry": "Industrial Machinery"},
    "tags": ["B2B", "Robotics"],
    "description": "Warehouse picking robots.",
    "foundedYear": 2016,
    "facebook": {"handle": "acme", "likes": 812},
    "linkedin": {"handle": "company/acme-example"},
    "twitter": {"handle": None},
    "crunchbase": {"handle": "organization/acme"},
    "phone": "+1 512-555-0143",
    "metrics": {"employees": 180, "employeesRange": "51-250", "annualRevenue": None,
                "estimatedAnnualRevenue": "$10M-$50M"},
    "tech": ["google_analytics", "hubspot"],
}  # fmt: skip
CLEARBIT_FIELDS = {
    "company_description": "Warehouse picking robots.",
    "company_industry": "Machinery",
    "company_employee_count": 180,
    "company_revenue_range": "$10M-$50M",
    "company_founded_year": 2016,
    "company_tech_stack": ["google_analytics", "hubspot"],
    "company_keywords": ["B2B", "Robotics"],
    "social_profiles": [
        "https://www.linkedin.com/company/acme-example",
        "https://www.facebook.com/acme",
        "https://www.crunchbase.com/organization/acme",
    ],
    "phones": ["+1 512-555-0143", "+1 512-555-0144"],
}


def clearbit_error(kind: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": ".."}}


def test_clearbit_found() -> None:
    assert fields(clearbit.SPEC, CLEARBIT) == CLEARBIT_FIELDS


def test_clearbits_substitute_wraps_the_company_and_writes_numbers_as_text() -> None:
    metrics = {"employees": "251-1K", "annualRevenue": 1234567}
    known = fields(clearbit.SPEC, {"data": CLEARBIT | {"metrics": metrics}, "meta": {}})
    assert known == without(CLEARBIT_FIELDS, "company_employee_count") | {
        "company_revenue_range": "$1,234,567"
    }


def test_clearbit_sparse() -> None:
    assert fields(clearbit.SPEC, {"domain": "acme.example", "category": None, "metrics": None}) == {}


@cases(
    ("queued", 202, clearbit_error("queued"), Pending("acme.example")),
    ("queued, no body", 202, "", Pending("acme.example")),
    ("unknown", 404, clearbit_error("unknown_record"), MISS),
    ("unknown, as a substitute says it", 404, {"errors": [{"id": "not_found", "code": 404}]}, MISS),
    ("no such route", 404, clearbit_error("unknown_route"), BAD_KEY),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("no key", 401, clearbit_error("auth_required"), BAD_KEY),
    ("bad key", 401, clearbit_error("invalid_api_key"), BAD_KEY),
    ("over quota", 402, clearbit_error("over_quota"), BROKE),
    ("bad input", 422, clearbit_error("params_invalid"), BAD_INPUT),
    ("too fast", 429, clearbit_error("rate_limit"), LIMITED),
    ("server fault", 500, {}, DOWN),
    ("no company", 200, {}, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
)
def test_clearbit(status: int, body: Any, expected: Said) -> None:
    assert answered(clearbit.SPEC, status, body) == expected
    poll = clearbit.SPEC.operations[0].poll
    assert poll is not None
    assert read(clearbit.SPEC, poll.read, response(status, body, {}, poll.ask("acme.example"))) == expected


def test_clearbit_is_polled_by_the_same_question() -> None:
    poll = clearbit.SPEC.operations[0].poll
    assert poll is not None
    assert poll.ask("acme.example") == asked(clearbit.SPEC)
    assert asked(clearbit.SPEC) == Request("GET", "/v2/companies/find", {"domain": "acme.example"})


def test_clearbit_waits_for_an_epoch() -> None:
    late = {"x-ratelimit-reset": "1795338012", **DATED}  # twelve seconds later
    assert clearbit.problem(response(429, {}, late)) == Problem(LIMITED, "HTTP 429", 12.0)


def test_clearbits_key_is_the_user_name() -> None:
    headers = clearbit.sign({"CLEARBIT_API_KEY": KEY}).headers
    assert headers == {"Authorization": f"Basic {b64encode(f'{KEY}:'.encode()).decode()}", "X-API-KEY": KEY}


# --- People Data Labs ------------------------------------------------------------------------------------

PDL = {
    "status": 200,
    "likelihood": 2,
    "id": "nwRb0tXk2",
    "name": "Acme Example",
    "size": "51-200",
    "employee_count": 164,
    "founded": 2016,
    "industry": "industrial automation",
    "industry_v2": "robotics engineering",
    "linkedin_url": "linkedin.com/company/acme-example",
    "facebook_url": None,
    "twitter_url": "twitter.com/acme",
    "website": "acme.example",
    "headline": "robots",
    "summary": "Acme builds picking arms.",
    "tags": ["robotics", "logistics"],
    "alternative_domains": [],
}
PDL_FIELDS = {
    "company_description": "Acme builds picking arms.",
    "company_industry": "robotics engineering",
    "company_employee_count": 164,
    "company_founded_year": 2016,
    "company_keywords": ["robotics", "logistics"],
    "social_profiles": ["https://linkedin.com/company/acme-example", "https://twitter.com/acme"],
}


def pdl_error(status: int, kind: str) -> dict[str, Any]:
    return {"status": status, "error": {"type": kind, "message": ".."}}


def test_people_data_labs_found() -> None:
    assert fields(people_data_labs.SPEC, PDL) == PDL_FIELDS


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, True),
        ({"website": "https://www.Acme.example/about"}, True),
        ({"website": "elsewhere.example"}, False),
        ({"website": "elsewhere.example", "likelihood": 5}, False),
        ({"website": "elsewhere.example", "likelihood": 6}, True),
        ({"website": None, "alternative_domains": ["acme.example"]}, True),
        ({"website": None, "alternative_domains": None, "likelihood": None}, False),
    ],
)
def test_people_data_labs_counts_a_match_of_the_asked_domain_or_a_likely_one(
    changes: dict[str, Any], *, accepted: bool
) -> None:
    assert isinstance(answered(people_data_labs.SPEC, 200, PDL | changes), Facts) == accepted


@cases(
    ("another company", 200, PDL | {"website": "elsewhere.example"}, MISS),
    ("not found", 404, pdl_error(404, "not_found"), MISS),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("no input", 400, pdl_error(400, "invalid_request_error"), BAD_INPUT),
    ("bad key", 401, pdl_error(401, "authentication_error"), BAD_KEY),
    ("out of credits", 402, pdl_error(402, "payment_required"), BROKE),
    ("wrong method", 405, pdl_error(405, "invalid_request_error"), BAD_INPUT),
    ("too fast", 429, pdl_error(429, "rate_limit_error"), LIMITED),
    ("server fault", 500, pdl_error(500, "api_error"), DOWN),
    ("no company", 200, {"status": 200}, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
)
def test_people_data_labs(status: int, body: Any, expected: Said) -> None:
    assert answered(people_data_labs.SPEC, status, body) == expected


@pytest.mark.parametrize(
    ("reset", "wait"),
    [
        ("2026-11-22T09:00:30+00:00", 30.0),
        ("2026-11-22T09:00:30Z", 30.0),
        ("2026-11-22T09:00:30", 30.0),
        ("2026-11-22T08:59:00Z", 0.0),
        ("17", 17.0),
        ("soon", None),
        ("9" * 5000, None),
    ],
)
def test_people_data_labs_waits_for_a_time_by_the_vendors_own_clock(reset: str, wait: float | None) -> None:
    problem = people_data_labs.problem(response(429, {}, {"x-ratelimit-reset": reset, **DATED}))
    assert problem == Problem(LIMITED, "HTTP 429", wait)


@pytest.mark.parametrize(
    ("status", "spent", "charged"),
    [(200, "1", "1"), (200, "3", "3"), (200, "", None), (404, "", "0"), (404, "0", "0"), (200, "x", None)],
)
def test_people_data_labs_tells_its_cost_in_a_header(status: int, spent: str, charged: str | None) -> None:
    told = people_data_labs.credits_told(Response(status, "", {"x-call-credits-spent": spent}))
    assert told == (None if charged is None else Decimal(charged))


def test_people_data_labs_bills_a_match_that_is_not_ours_too() -> None:
    told = people_data_labs.credits_told(Response(200, "", {"x-call-credits-spent": "1"}))
    assert row("people_data_labs").terms.price.charge(Miss(), told) == Decimal("0.10")


def test_people_data_labs_is_asked_by_website() -> None:
    query = {"website": "acme.example", "titlecase": "true"}
    assert asked(people_data_labs.SPEC) == Request("GET", "/v5/company/enrich", query)
    assert people_data_labs.sign({"PEOPLE_DATA_LABS_API_KEY": KEY}).headers == {"X-Api-Key": KEY}


# --- Apollo: organizations -------------------------------------------------------------------------------

APOLLO = {
    "organization": {
        "id": "5f00aa11bb22cc33dd44ee55",
        "name": "Acme Example",
        "primary_domain": "acme.example",
        "primary_phone": {},
        "founded_year": 2016,
        "industry": "industrial automation",
        "keywords": ["warehouse robotics"],
        "estimated_num_employees": 170,
        "short_description": "Acme builds robots.",
        "seo_description": "Robots that pick.",
        "annual_revenue": 24000000,
        "annual_revenue_printed": "24M",
        "total_funding_printed": "42M",
        "latest_funding_stage": "Series B",
        "latest_funding_round_date": "2025-03-11T00:00:00.000+00:00",
        "technology_names": ["HubSpot", "Cloudflare DNS"],
    }
}
APOLLO_FIELDS = {
    "company_description": "Acme builds robots.",
    "company_industry": "industrial automation",
    "company_employee_count": 170,
    "company_revenue_range": "24M (estimated)",
    "company_founded_year": 2016,
    "company_tech_stack": ["HubSpot", "Cloudflare DNS"],
    "company_keywords": ["warehouse robotics"],
    "funding": {"stage": "Series B", "total": "42M", "last_round": "2025-03-11"},
}
SPARSE = {
    "short_description": None,
    "industry": None,
    "latest_funding_stage": None,
    "total_funding_printed": None,
}
APOLLO_ERRORS: tuple[Case, ...] = (
    ("bad key, in words", 401, "Invalid access credentials.", BAD_KEY),
    ("not for this endpoint", 403, {"error": "..", "error_code": "API_INACCESSIBLE"}, NOT_IN_PLAN),
    ("forbidden", 403, {"error": ".."}, BAD_KEY),
    ("bad input", 422, {"error": "Provide a domain."}, BAD_INPUT),
    ("out of credits", 422, {"error": "Insufficient credits. Upgrade your plan."}, BROKE),
    ("too fast", 429, {"message": ".."}, LIMITED),
    ("server fault", 500, {"error": ".."}, DOWN),
    ("a page", 200, HTML, NONSENSE),
)


def test_apollo_found() -> None:
    assert fields(apollo.SPEC, APOLLO) == APOLLO_FIELDS


def test_apollo_sparse() -> None:
    known = fields(apollo.SPEC, {"organization": APOLLO["organization"] | SPARSE})
    assert known == without(APOLLO_FIELDS, "company_industry", "funding") | {
        "company_description": "Robots that pick."
    }


@cases(("unknown", 200, {}, MISS), ("unknown, null", 200, {"organization": None}, MISS), *APOLLO_ERRORS)
def test_apollo(status: int, body: Any, expected: Said) -> None:
    assert answered(apollo.SPEC, status, body) == expected


def test_apollo_is_asked_by_domain() -> None:
    assert asked(apollo.SPEC) == Request("GET", "/organizations/enrich", {"domain": "acme.example"})
    assert apollo.SPEC.sign({"APOLLO_API_KEY": KEY}).headers == {"x-api-key": KEY}


# --- Apollo: people --------------------------------------------------------------------------------------

PERSON = {
    "id": "64b0aa11bb22cc33dd44ee55",
    "name": "Dana Reyes",
    "title": "VP Operations",
    "linkedin_url": "http://www.linkedin.com/in/dana-reyes-example",
    "email": EMAIL,
    "seniority": "vp",
    "departments": ["master_operations"],
    "employment_history": [
        {"current": True, "organization_name": "Acme Example", "title": "VP Operations",
         "start_date": "2022-04-01", "end_date": None},
        {"current": False, "organization_name": "Lone Star", "title": "Manager",
         "start_date": "2017-01-01", "end_date": "2022-03-01"},
    ],
    "contact": None,
    "organization": {"name": "Acme Example"},
}  # fmt: skip
CONTACT = {
    "title": "VP Operations",
    "linkedin_url": "http://www.linkedin.com/in/dana-reyes-example",
    "phones": [],
    "seniority": "vp",
    "departments": ["master_operations"],
    "employment_history": [
        {"title": "VP Operations", "company": "Acme Example", "from": "2022-04-01", "to": ""},
        {"title": "Manager", "company": "Lone Star", "from": "2017-01-01", "to": "2022-03-01"},
    ],
}
STUB = {"id": None, "name": "", "match_confidence": "none", "organization": {"name": "Acme Example"}}


def test_apollo_person_found() -> None:
    assert fields(apollo_people.SPEC, {"person": PERSON, "request_id": -771204338812004512}) == {
        "contact": CONTACT
    }


def test_of_a_long_career_five_positions_are_kept() -> None:
    history = [{"title": f"Role {n}"} for n in range(9)]
    known = fields(apollo_people.SPEC, {"person": PERSON | {"employment_history": history}})
    assert [one["title"] for one in known["contact"]["employment_history"]] == [f"Role {n}" for n in range(5)]


@cases(
    ("nobody", 200, {"person": None, "request_id": 0}, MISS),
    ("no person at all", 200, {}, MISS),
    ("a stub with an employer", 200, {"person": STUB}, MISS),
    ("a stub with a name", 200, {"person": STUB | {"name": "Dana Reyes"}}, MISS),
    ("no name", 200, {"person": {"title": "VP"}}, MISS),
    ("a name that is no text", 200, {"person": PERSON | {"name": 10}}, NONSENSE),
    *APOLLO_ERRORS,
)
def test_apollo_people(status: int, body: Any, expected: Said) -> None:
    assert answered(apollo_people.SPEC, status, body) == expected


def test_apollo_is_asked_about_people_in_the_body_and_never_for_private_addresses() -> None:
    everything = {
        "email": EMAIL,
        "linkedin_url": DANA.linkedin_url,
        "first_name": "Dana",
        "last_name": "Reyes",
        "domain": "acme.example",
        "reveal_personal_emails": False,
        "reveal_phone_number": False,
    }
    assert asked(apollo_people.SPEC) == Request("POST", "/people/match", body=everything)


@pytest.mark.parametrize(
    ("who", "known_by"),
    [
        (lead(linkedin_url="", email=""), {"first_name", "last_name", "domain"}),
        (lead(last_name="", email=EMAIL, linkedin_url=""), {"email"}),
        (lead(company_domain=""), {"linkedin_url"}),
        (lead(company_domain="", linkedin_url=""), None),
    ],
)
def test_apollo_is_asked_by_what_identifies_a_person(who: Lead, known_by: set[str] | None) -> None:
    request = asked(apollo_people.SPEC, who)
    flags = {"reveal_personal_emails", "reveal_phone_number"}
    assert (request.body.keys() - flags if request else None) == known_by


# --- BuiltWith -------------------------------------------------------------------------------------------


def technologies(*names: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Tag": "x", "Categories": None, "IsPremium": "No"} for name in names]


def builtwith_paths(*paths: Any, **more: Any) -> dict[str, Any]:
    result = {"Result": {"IsDB": "True", "Paths": list(paths)}, "Meta": None, "Lookup": "acme.example"}
    return {"Results": [result | more], "Errors": [], "Trust": None}


def builtwith_error(code: int) -> dict[str, Any]:
    return {"Results": [], "Errors": [{"Lookup": None, "Code": code, "Message": ".."}]}


BUILTWITH = builtwith_paths(
    {"SubDomain": "", "Technologies": technologies("HubSpot", "nginx")},
    {"SubDomain": "careers", "Technologies": technologies("Greenhouse", "nginx")},
)


@cases(
    ("found", 200, BUILTWITH, Facts({"company_tech_stack": ["HubSpot", "nginx", "Greenhouse"]})),
    ("no path", 200, builtwith_paths(), MISS),
    ("a path without any", 200, builtwith_paths({"Technologies": []}), MISS),
    ("no paths at all", 200, {"Results": [{"Result": None}], "Errors": []}, MISS),
    ("no results", 200, {}, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("bad key", 200, builtwith_error(-2), BAD_KEY),
    ("out of credits", 200, builtwith_error(-3), BROKE),
    ("plan used up", 200, builtwith_error(-5), BROKE),
    ("not saved", 200, builtwith_error(-6), DOWN),
    ("unknown domain", 200, builtwith_error(-8), MISS),
    ("internal", 200, builtwith_error(-99), DOWN),
    ("bad key, plain", 401, {"error": "Unauthorized"}, BAD_KEY),
    ("too fast", 429, {"error": "..", "retryAfterSeconds": 1}, LIMITED),
    ("server fault", 500, "", DOWN),
)
def test_builtwith(status: int, body: Any, expected: Said) -> None:
    assert answered(builtwith.SPEC, status, body) == expected


def test_builtwith_waits_for_the_seconds_in_its_body() -> None:
    problem = builtwith.problem(response(429, {"retryAfterSeconds": 3}))
    assert problem == Problem(LIMITED, "HTTP 429", 3.0)
    past = builtwith.problem(response(429, {"retryAfterSeconds": -3}))
    assert past == Problem(LIMITED, "HTTP 429", 0.0)


def test_builtwith_is_asked_for_no_personal_data_and_the_key_stays_out_of_addresses() -> None:
    request = asked(builtwith.SPEC)
    assert request is not None
    assert request.query["NOPII"] == "yes"
    assert request.query["LOOKUP"] == "acme.example"
    assert builtwith.SPEC.sign({"BUILTWITH_API_KEY": KEY}).headers == {"Authorization": f"API {KEY}"}


# --- the company's website -------------------------------------------------------------------------------


def fact(value: Any) -> dict[str, Any]:
    return {"value": value, "source": "meta"}


WEBSITE = {
    "outcome": "ok",
    "status": 200,
    "facts": {
        "description": fact("Acme builds robots."),
        "founded_year": fact(2016),
        "employee_count": fact([51, 200]),
        "keywords": [fact("robotics")],
        "hiring_links": [fact("https://acme.example/careers")],
        "phones": None,
    },
}
WEBSITE_FIELDS = {
    "company_description": "Acme builds robots.",
    "company_founded_year": 2016,
    "company_employee_count": 51,
    "company_keywords": ["robotics"],
    "hiring": ["https://acme.example/careers"],
}


@cases(
    ("found", 200, WEBSITE, Facts(WEBSITE_FIELDS)),
    ("parked", 200, {"outcome": "parked", "status": 200, "facts": {}}, MISS),
    ("refused by robots.txt", 200, {"outcome": "robots_disallowed", "status": None, "facts": None}, MISS),
    ("too slow", 200, {"outcome": "timeout", "status": None, "facts": None}, MISS),
    ("broken", 200, {"outcome": "server_error", "status": 503, "facts": None}, MISS),
    ("no outcome", 200, {}, NONSENSE),
)
def test_website(status: int, body: Any, expected: Said) -> None:
    assert answered(website.SPEC, status, body) == expected


# --- ZoomInfo: companies ---------------------------------------------------------------------------------

ZI_COMPANY = {
    "name": "Acme Example",
    "website": "www.acme.example",
    "description": "Builds picking robots.",
    "primaryIndustry": ["Manufacturing"],
    "industries": ["Manufacturing", "Industrial Machinery"],
    "employeeCount": 172,
    "revenue": 24100,
    "revenueRange": "$10 mil. - $25 mil.",
    "foundedYear": "2016",
    "phone": "(512) 555-0143",
    "socialMediaUrls": [{"type": "LINKED_IN", "url": "http://www.linkedin.com/company/acme-example"}],
}
ZI_FIELDS = {
    "company_description": "Builds picking robots.",
    "company_industry": "Manufacturing",
    "company_employee_count": 172,
    "company_revenue_range": "$10 mil. - $25 mil.",
    "company_founded_year": 2016,
    "company_keywords": ["Manufacturing", "Industrial Machinery"],
    "social_profiles": ["http://www.linkedin.com/company/acme-example"],
    "phones": ["(512) 555-0143"],
}
US, OTHERS = {"companyWebsite": "acme.example"}, {"companyWebsite": "elsewhere.example"}


def item(attributes: Any, told: Any, kind: str = "Company", match: str = "FULL_MATCH") -> dict[str, Any]:
    meta = {"input": told, "matchStatus": match}
    return {"type": kind, "id": "361200417", "attributes": attributes, "meta": meta}


def no_match(told: Any) -> dict[str, Any]:
    return {"type": "NoMatch", "id": "0", "meta": {"input": told, "matchStatus": "NO_MATCH"}}


def zi_error(status: int, code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "..", "status": status, "requestId": "1", "retryable": False}}


def zi_errors(code: str) -> dict[str, Any]:
    return {
        "title": "..",
        "detail": "..",
        "errors": [{"id": "1", "code": code, "detail": "..", "status": "4"}],
    }


ZI_ERRORS: tuple[Case, ...] = (
    ("bad token", 401, zi_error(401, "ZI0001"), BAD_KEY),
    ("bad token, plain", 401, "", BAD_KEY),
    ("scope missing", 403, zi_error(403, "ZI0002"), NOT_IN_PLAN),
    ("not in the contract", 403, zi_error(403, "ZI0003"), NOT_IN_PLAN),
    ("not in the contract, other envelope", 403, zi_errors("ZI0003"), NOT_IN_PLAN),
    ("too fast", 429, zi_error(429, "ZI0004"), LIMITED),
    ("bad input", 400, zi_error(400, "PFAPI0001"), BAD_INPUT),
    ("credits used up", 400, zi_error(400, "PFAPI0011"), BROKE),
    ("credits used up, other envelope", 400, zi_errors("PFAPI0011"), BROKE),
    ("internal", 500, zi_error(500, "PFAPI0007"), DOWN),
    ("timed out", 504, zi_error(504, "PFAPI0010"), DOWN),
    ("a page", 200, HTML, NONSENSE),
    ("no items", 200, {"data": {}}, NONSENSE),
)


@pytest.mark.parametrize(
    "told",
    [US, {"companywebsite": "http://www.acme.example/"}, US | {"companyName": "Acme"}],
)
def test_zoominfo_company_found_by_the_input_it_repeats(told: dict[str, str]) -> None:
    batch = {"data": [item({"name": "Elsewhere"}, OTHERS), item(ZI_COMPANY, told)]}
    assert fields(zoominfo_company.SPEC, batch) == ZI_FIELDS


@cases(
    ("no match", 200, {"data": [no_match(US)]}, MISS),
    ("no match, by its status alone", 200, {"data": [item({}, US, match="NO_MATCH")]}, MISS),
    ("another's answer alone", 200, {"data": [item(ZI_COMPANY, OTHERS)]}, NONSENSE),
    ("no input repeated", 200, {"data": [item(ZI_COMPANY, None)]}, NONSENSE),
    ("empty", 200, {"data": []}, NONSENSE),
    *ZI_ERRORS,
)
def test_zoominfo_company(status: int, body: Any, expected: Said) -> None:
    assert answered(zoominfo_company.SPEC, status, body) == expected


def test_zoominfo_is_asked_by_website() -> None:
    request = asked(zoominfo_company.SPEC)
    assert request is not None
    assert request.path == "/gtm/data/v1/companies/enrich"
    assert request.body["data"]["type"] == "CompanyEnrich"
    assert request.body["data"]["attributes"]["matchCompanyInput"] == [US]


# --- ZoomInfo: people ------------------------------------------------------------------------------------

ZI_PERSON = {
    "jobTitle": "VP Operations",
    "managementLevel": ["VP Level Exec"],
    "jobFunction": [{"name": "Operations"}],
    "phone": "(512) 555-0143",
    "mobilePhone": "(512) 555-0188",
    "directPhoneDoNotCall": False,
    "mobilePhoneDoNotCall": True,
    "externalUrls": [
        {"type": "TWITTER", "url": "https://twitter.com/dana"},
        {"type": "LINKED_IN", "url": "https://www.linkedin.com/in/dana"},
    ],
    "employmentHistory": [
        {"jobTitle": "VP Operations", "fromDate": "2022-04-01", "toDate": None,
         "company": {"companyName": "Acme Example"}},
    ],
    "withinEu": False,
}  # fmt: skip
ZI_CONTACT = {
    "title": "VP Operations",
    "linkedin_url": "https://www.linkedin.com/in/dana",
    "phones": ["(512) 555-0143"],
    "seniority": "VP Level Exec",
    "departments": ["Operations"],
    "employment_history": [
        {"title": "VP Operations", "company": "Acme Example", "from": "2022-04-01", "to": ""}
    ],
}
DANAS = {"emailAddress": EMAIL}


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, {}),
        ({"mobilePhoneDoNotCall": False}, {"phones": ["(512) 555-0143", "(512) 555-0188"]}),
        ({"directPhoneDoNotCall": "true"}, {"phones": []}),
        ({"directPhoneDoNotCall": "Yes"}, {"phones": []}),
        ({"directPhoneDoNotCall": "false"}, {}),
        ({"withinEu": True}, {"phones": [], "employment_history": []}),
        (
            {"managementLevel": "Director", "jobFunction": "Sales"},
            {"seniority": "Director", "departments": ["Sales"]},
        ),
    ],
)
def test_zoominfo_contact_found(changes: dict[str, Any], seen: dict[str, Any]) -> None:
    body = {"data": [item(ZI_PERSON | changes, DANAS, "Contact")]}
    assert fields(zoominfo_contact.SPEC, body) == {"contact": ZI_CONTACT | seen}


@cases(
    ("no match", 200, {"data": [no_match(DANAS)]}, MISS),
    ("found, but empty", 200, {"data": [item({"x": 1}, DANAS, "Contact")]}, Facts({})),
    ("somebody else", 200, {"data": [item(ZI_PERSON, {"emailAddress": "x@acme.example"})]}, NONSENSE),
    *ZI_ERRORS,
)
def test_zoominfo_contact(status: int, body: Any, expected: Said) -> None:
    assert answered(zoominfo_contact.SPEC, status, body) == expected


@pytest.mark.parametrize(
    ("who", "by"),
    [
        (WRITABLE, DANAS),
        (DANA, {"externalURL": DANA.linkedin_url}),
        (
            lead(linkedin_url=""),
            {"firstName": "Dana", "lastName": "Reyes", "companyName": "Acme Example"},
        ),
        (lead(linkedin_url="", last_name=""), None),
    ],
)
def test_zoominfo_is_asked_by_the_strongest_key_of_a_person(who: Lead, by: dict[str, str] | None) -> None:
    request = asked(zoominfo_contact.SPEC, who)
    assert (request.body["data"]["attributes"]["matchPersonInput"] if request else None) == (by and [by])


# --- ZoomInfo: intent ------------------------------------------------------------------------------------

SIGNAL = {
    "category": "Logistics",
    "topic": "Warehouse Automation",
    "signalScore": 84,
    "audienceStrength": "B",
    "signalDate": "2026-09-01T10:00:00Z",
    "recommendedContacts": [],
    "company": {"name": "Acme Example"},
}
INTENT = [
    {
        "topic": "Warehouse Automation",
        "category": "Logistics",
        "score": 84,
        "audience_strength": "B",
        "at": "2026-09-01T10:00:00Z",
    }
]


@cases(
    (
        "found",
        200,
        {"data": [{"type": "Intent", "attributes": SIGNAL}], "meta": {}},
        Facts({"intent": INTENT}),
    ),
    ("no signal", 200, {"data": [], "meta": {"totalResults": 0}}, MISS),
    *ZI_ERRORS,
)
def test_zoominfo_intent(status: int, body: Any, expected: Said) -> None:
    assert answered(zoominfo_intent.SPEC, status, body) == expected


def test_zoominfo_is_asked_about_the_topics_one_sells_to_and_for_nobodys_name() -> None:
    request = asked(zoominfo_intent.SPEC)
    assert request is not None
    assert request.body["data"]["attributes"] == {
        "companyWebsite": "acme.example",
        "topics": ["Warehouse Automation", "Robotics"],
        "findRecommendedContacts": False,
    }


@pytest.mark.parametrize("topics", ["", " , ,"])
def test_without_topics_there_is_nothing_to_ask(topics: str) -> None:
    question = Question(WRITABLE, options={"ZOOMINFO_INTENT_TOPICS": topics})
    assert zoominfo_intent.SPEC.operations[0].ask(question) is None


# --- ZoomInfo: the legacy API ----------------------------------------------------------------------------

OLD_INTENT, OLD_COMPANY, OLD_PERSON = zoominfo_legacy.SPECS
OLD_RECORD = without(ZI_COMPANY, "description") | {
    "descriptionList": [{"description": "Builds picking robots."}]
}
OLD_ERRORS: tuple[Case, ...] = (
    ("bad token", 401, {"error": ".."}, BAD_KEY),
    ("used up", 403, {"success": False, "error": "You have used up your request limit"}, BROKE),
    ("no access", 403, {"success": False, "error": "Access denied"}, NOT_IN_PLAN),
    ("bad input", 400, {"success": False, "error": "outputFields required"}, BAD_INPUT),
    ("too fast", 429, {"error": ".."}, LIMITED),
    ("server fault", 500, {"error": ".."}, DOWN),
    ("a page", 200, HTML, NONSENSE),
)


def old(record: Any, told: dict[str, str]) -> dict[str, Any]:
    return {"success": True, "data": {"outputFields": [[]], "result": [{"input": told, "data": record}]}}


def test_zoominfo_legacy_found() -> None:
    assert fields(OLD_COMPANY, old([OLD_RECORD], {"companywebsite": "acme.example"})) == ZI_FIELDS
    assert fields(OLD_PERSON, old([ZI_PERSON], {"emailaddress": EMAIL})) == {"contact": ZI_CONTACT}
    assert fields(OLD_INTENT, {"totalResults": 1, "data": [SIGNAL]}) == {"intent": INTENT}


@cases(("no match", 200, old([], {"companywebsite": "acme.example"}), MISS), *OLD_ERRORS)
def test_zoominfo_legacy_company(status: int, body: Any, expected: Said) -> None:
    assert answered(OLD_COMPANY, status, body) == expected


@cases(("no signal", 200, {"totalResults": 0, "data": []}, MISS), *OLD_ERRORS)
def test_zoominfo_legacy_intent(status: int, body: Any, expected: Said) -> None:
    assert answered(OLD_INTENT, status, body) == expected


def test_zoominfo_legacy_is_asked_without_wrapping() -> None:
    intent, company, person = (asked(spec) for spec in zoominfo_legacy.SPECS)
    assert company is not None
    assert person is not None
    assert intent is not None
    assert (company.path, person.path, intent.path) == (
        "/enrich/company",
        "/enrich/contact",
        "/enrich/intent",
    )
    assert company.body["matchCompanyInput"] == [US]
    assert "descriptionList" in company.body["outputFields"]
    assert person.body["matchPersonInput"] == [DANAS]
    assert intent.body["topics"] == ["Warehouse Automation", "Robotics"]


# --- ZoomInfo: tokens ------------------------------------------------------------------------------------

CLIENT = {"ZOOMINFO_CLIENT_ID": "client-1", "ZOOMINFO_CLIENT_SECRET": KEY}
USER = {"ZOOMINFO_USERNAME": "ops@buyer.example", "ZOOMINFO_PASSWORD": KEY}
GRANTED = {"access_token": "t-1", "token_type": "Bearer", "expires_in": 86400, "scope": ".."}


def test_zoominfos_token_is_asked_for_with_the_client_in_basic() -> None:
    form = {"grant_type": "client_credentials", "scope": "api:data:company api:data:contact api:data:intent"}
    assert zoominfo_token.GTM.ask(CLIENT) == Request("POST", "/oauth2/default/v1/token", form=form)
    basic = b64encode(f"client-1:{KEY}".encode()).decode()
    assert zoominfo_token.GTM.sign(CLIENT).headers["Authorization"] == f"Basic {basic}"


def test_zoominfos_legacy_token_is_asked_for_with_user_and_password() -> None:
    body = {"username": "ops@buyer.example", "password": KEY}
    assert zoominfo_token.LEGACY.ask(USER) == Request("POST", "/authenticate", body=body)
    assert zoominfo_token.LEGACY.read(response(200, {"jwt": "j-1"})) == Token("j-1", 3360.0)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, GRANTED, Token("t-1", 86400.0)),
        (200, GRANTED | {"expires_in": "120"}, Token("t-1", 120.0)),
        (200, {"access_token": "t-1"}, Token("t-1", 86400.0)),
        (401, {"error": "invalid_client", "error_description": ".."}, BAD_KEY),
        (400, {"error": "invalid_scope"}, BAD_KEY),
        (429, {}, LIMITED),
        (503, HTML, DOWN),
        (200, {}, NONSENSE),
        (200, HTML, NONSENSE),
    ],
)
def test_zoominfos_token_is_read(status: int, body: Any, expected: Token | Remedy) -> None:
    token = zoominfo_token.GTM.read(response(status, body))
    assert (token.remedy if isinstance(token, Problem) else token) == expected


def test_zoominfos_calls_are_signed_by_the_token() -> None:
    assert zoominfo.sign({TOKEN: "t-1"}).headers == {
        "Authorization": "Bearer t-1",
        "Accept": "application/vnd.api+json",
        "Content-Type": "application/vnd.api+json",
    }
    assert zoominfo_legacy.sign({TOKEN: "j-1"}).headers == {"Authorization": "Bearer j-1"}


# --- all of them -----------------------------------------------------------------------------------------

ENRICHERS = [one for one in CATALOGUE if one.spec.role == "enricher"]
each_enricher = pytest.mark.parametrize("one", ENRICHERS, ids=lambda one: f"{one.spec.label}-{one.spec.env}")
each_company = pytest.mark.parametrize(
    "one", [one for one in ENRICHERS if one.spec.per_company], ids=lambda one: one.spec.label
)


def test_the_order_of_asking() -> None:
    labels = list(dict.fromkeys(one.spec.label for one in ENRICHERS if one.name not in {"claude", "tavily"}))
    assert labels == [
        "website",
        "brave:news",
        "brave:funding",
        "brave:hiring",
        "serper:news",
        "serper:funding",
        "serper:hiring",
        "clearbit",
        "apollo",
        "people_data_labs",
        "apollo:people",
        "builtwith",
        "zoominfo:intent",
        "zoominfo:company",
        "zoominfo:contact",
    ]


@each_enricher
def test_a_lead_without_anything_is_not_asked_about(one: Row) -> None:
    nobody = lead(first_name="", last_name="", company_name="", company_domain="", linkedin_url="")
    assert asked(one.spec, nobody) is None


@each_company
def test_every_lead_of_a_company_asks_the_same(one: Row) -> None:
    colleague = lead(first_name="Ada", last_name="Lovelace", email="ada@acme.example", linkedin_url="")
    assert asked(one.spec, colleague) == asked(one.spec, WRITABLE)


@each_enricher
def test_no_secret_stands_in_a_request(one: Row) -> None:
    secrets = {**dict.fromkeys(one.spec.secrets, KEY), TOKEN: KEY}
    signature = one.spec.sign(secrets)
    signed = json.dumps([dict(signature.headers), dict(signature.query)])
    assert KEY in signed or one.name == "website"
    request = asked(one.spec)
    assert request is not None
    assert KEY not in json.dumps(request.as_json())


@each_enricher
def test_a_told_wait_is_kept(one: Row) -> None:
    headers = {"retry-after": "7", "x-ratelimit-reset": "7"}
    problem = one.spec.problem(response(429, {"retryAfterSeconds": 7}, headers))
    assert problem is not None
    assert (problem.remedy, problem.wait_s) == (LIMITED, 7.0)


@each_enricher
def test_who_counts_credits_can_read_them(one: Row) -> None:
    counts = one.terms.price.billing is Billing.PER_CREDIT
    assert all((operation.credits is not None) == counts for operation in one.spec.operations)


@each_enricher
def test_what_it_can_tell_is_what_it_says_it_can(one: Row) -> None:
    sayable = {name for topic in one.spec.topics for name in FIELDS_OF[topic]}
    assert sayable
    assert sayable <= COLUMNS | {"news", "funding", "hiring", "contact", "intent"}


@each_enricher
def test_protocols_are_confirmed_and_dated(one: Row) -> None:
    assert one.terms.confirmed
    assert one.terms.source
    assert one.terms.note


def test_questions_of_one_vendor_share_their_terms_where_they_are_counted_together() -> None:
    for name in ("brave", "claude", "serper", "tavily", "zoominfo"):
        assert len({one.terms for one in ENRICHERS if one.name == name}) == 1
    assert len({one.terms for one in ENRICHERS if one.name == "apollo"}) == 2


SAMPLES: dict[str, Any] = {
    "clearbit": CLEARBIT,
    "people_data_labs": PDL,
    "apollo": APOLLO,
    "apollo:people": {"person": PERSON},
    "builtwith": BUILTWITH,
    "website": WEBSITE,
    "zoominfo:company": {"data": [item(ZI_COMPANY, US)]},
    "zoominfo:contact": {"data": [item(ZI_PERSON, DANAS, "Contact")]},
    "zoominfo:intent": {"data": [{"attributes": SIGNAL}]},
}
SEARCHED = {
    "type": "news",
    "searchParameters": {"type": "news"},
    "results": [{"title": "x", "url": "https://a.example", "meta_url": {"hostname": "h"}}],
    "news": [{"title": "x", "link": "https://a.example", "date": "x"}],
    "content": [{"type": "web_search_tool_result", "content": [{"url": "https://a.example", "title": "x"}]}],
    "stop_reason": "pause_turn",
    "usage": {"credits": 1, "server_tool_use": {"web_search_requests": 1}},
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["none", "1e999", "http://[", "2026-13-45", "error", 10**400, "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
Path = tuple[Any, ...]


def places(body: Any, path: Path = ()) -> list[Path]:
    """Every place in a body, itself included."""
    children = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [path, *(place for key, value in children for place in places(value, (*path, key)))]


def spoiled(body: Any, path: Path, junk: Any) -> Any:
    """The body with something else at one place."""
    if not path:
        return junk
    copy = list(body) if isinstance(body, list) else dict(body)
    copy[path[0]] = spoiled(body[path[0]], path[1:], junk)
    return copy


@each_enricher
@settings(max_examples=60, deadline=None)
@given(data=st.data(), junk=JUNK, status=st.sampled_from([200, 200, 202, 400, 404, 422, 429, 500]))
def test_no_answer_whatsoever_breaks_a_reader(one: Row, data: st.DataObject, junk: Any, status: int) -> None:
    sample = SAMPLES.get(one.spec.label, SEARCHED)
    place = data.draw(st.sampled_from(places(sample)))
    (operation,) = one.spec.operations
    answer = response(status, spoiled(sample, place, junk), {"x-ratelimit-reset": "x"}, asked(one.spec))
    told = one.spec.problem(answer) or operation.read(answer)
    if operation.poll:
        operation.poll.read(answer)
    if operation.credits:
        operation.credits(answer)
    if isinstance(told, Facts):
        json.dumps(dict(told.fields))


@each_enricher
@pytest.mark.parametrize("text", ["", "[" * 100_000, '"\\ud800"', "NaN", "nul", "[[]]", "{}", "0"])
def test_no_text_whatsoever_breaks_a_reader(one: Row, text: str) -> None:
    (operation,) = one.spec.operations
    assert (one.spec.problem(Response(200, text)) or operation.read(Response(200, text))) is not None
