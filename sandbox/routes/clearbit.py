"""Clearbit (legacy): company by domain, person and company by address. Queued look-ups are 202 and free."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandbox.companies import Company, bare_domain
from sandbox.limits import Pressure, Quota
from sandbox.people import Person
from sandbox.vendor import Operation, Setting, Vendor
from sandbox.wire import JSON, NOTHING, Ask, Reply, answer

QUEUED_TIMES = 2
BANDS = (
    (10, "1-10"),
    (50, "11-50"),
    (250, "51-250"),
    (1_000, "251-1K"),
    (5_000, "1K-5K"),
    (10_000, "5K-10K"),
)


class Clearbit(Vendor):
    """HTTP Basic with the key as user name, or Bearer."""

    name = "clearbit"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(per_minute=600),
        "person": Quota(per_minute=600),
    }
    variants = frozenset(("queued", "queued_empty", "sparse"))

    def __init__(self, setting: Setting) -> None:
        """Nothing queued yet."""
        super().__init__(setting)
        self.polls: Counter[str] = Counter()

    def operations(self) -> Sequence[Operation]:
        """Company by domain and by id, both by address."""
        return (
            Operation("company", "GET", "v2/companies/find", _domain, self.find),
            Operation("company_by_id", "GET", "v2/companies/*", _number, self.by_id),
            Operation("combined", "GET", "v2/combined/find", _email, self.combined, "person"),
        )

    def find(self, ask: Ask, question: str) -> Reply:
        """One credit when data comes back."""
        if not question:
            return _error(422, "params_invalid", "domain is required.")
        if self.on & {"queued", "queued_empty"} and self.polls[question] < QUEUED_TIMES:
            self.polls[question] += 1
            empty = "queued_empty" in self.on
            return Reply(202, b"", JSON) if empty else answer({"error": {"type": "queued"}}, 202)
        return self.told("company", question, self.listed(self.world.company(ask.param("domain"))))

    def by_id(self, _ask: Ask, question: str) -> Reply:
        """Read again by the id handed out."""
        digits = question.rpartition("-")[2]
        position = int(digits, 10) - 1 if digits.isdecimal() else -1
        known = self.world.companies[position] if 0 <= position < len(self.world.companies) else None
        return self.told("company_by_id", question, self.listed(known))

    def told(self, operation: str, question: str, company: Company | None) -> Reply:
        """The flat company, or an unknown record."""
        if not self.sell(operation, question, hit=company is not None):
            return self.out_of_credits()
        if company is None:
            return _error(404, "unknown_record", "Unknown company.")
        return answer(self.record(company))

    def combined(self, _ask: Ask, question: str) -> Reply:
        """Person and company, each null where not known."""
        person = self.world.owner(question)
        company = self.listed(person.company if person else self.world.company(question.rpartition("@")[2]))
        if not self.sell("combined", question, hit=company is not None):
            return self.out_of_credits()
        if company is None:
            return _error(404, "unknown_record", "Unknown person.")
        return answer(
            {"person": None if person is None else _person(person), "company": self.record(company)}
        )

    def record(self, company: Company) -> dict[str, Any]:
        """The company; the sparse variant knows neither category nor metrics."""
        record = _company(company)
        if "sparse" in self.on:
            for part in ("category", "metrics"):
                record[part] = dict.fromkeys(record[part])
        return record

    def authorised(self, ask: Ask) -> bool:
        """User name of Basic, or Bearer."""
        return self.account.key in {ask.basic[0], ask.bearer}

    def unauthorised(self, ask: Ask) -> Reply:
        """401, with rate headers even here."""
        kind = "invalid_api_key" if "Authorization" in ask.headers else "auth_required"
        headers = self.headers(self.gates["default"].pressure())
        return _error(401, kind, "A valid API key is needed.", headers)

    def out_of_credits(self) -> Reply:
        """402: over quota."""
        return _error(402, "over_quota", "Your plan's quota is used up.")

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 with the epoch of the reset and no Retry-After."""
        return _error(429, "rate_limit", "Too many requests.", self.headers(pressure))

    def failed(self) -> Reply:
        """500."""
        return _error(500, "server_error", "Something went wrong.")

    def no_route(self, *, path_known: bool) -> Reply:
        """404 before any look at the key."""
        return _error(405 if path_known else 404, "unknown_route", "Unknown route.")

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """Reset is an epoch."""
        if pressure is None:
            return NOTHING
        return {
            "x-ratelimit-limit": str(pressure.limit),
            "x-ratelimit-remaining": str(pressure.remaining),
            "x-ratelimit-reset": str(pressure.reset_at),
            "x-api-version": "2019-12-19",
        }


def _error(code: int, kind: str, words: str, headers: Mapping[str, str] = NOTHING) -> Reply:
    return answer({"error": {"type": kind, "message": words}}, code, headers)


def _domain(ask: Ask) -> str:
    return bare_domain(ask.param("domain"))


def _number(ask: Ask) -> str:
    return ask.args[0]


def _email(ask: Ask) -> str:
    return ask.param("email").lower()


def employees_band(employees: int) -> str:
    """The range that the number falls into."""
    return next((band for limit, band in BANDS if employees <= limit), "10K+")


def _person(person: Person) -> dict[str, Any]:
    names = {"fullName": person.name, "givenName": person.first, "familyName": person.last}
    return {
        "id": f"d0ffee00-1111-4222-8333-{person.number:012d}",
        "name": names,
        "email": person.email,
        "employment": {"domain": person.company.domain, "name": person.company.name, "title": person.title},
        "linkedin": {"handle": f"in/{person.handle}" if person.linkedin else None},
    }


def _company(company: Company) -> dict[str, Any]:
    city, state, state_code, country, country_code = company.place
    return {
        "id": f"c0ffee00-1111-4222-8333-{company.number:012d}",
        "name": company.name,
        "legalName": f"{company.name}, Inc.",
        "domain": company.domain,
        "domainAliases": [],
        "site": {"phoneNumbers": [company.phone], "emailAddresses": [f"hello@{company.domain}"]},
        "category": {
            "sector": "Industrials",
            "industryGroup": "Commercial Services",
            "industry": company.industry.title(),
            "subIndustry": company.industry.title(),
            "sicCode": "35",
            "naicsCode": "33",
        },
        "tags": ["B2B", *company.keywords],
        "description": company.description[:255],
        "foundedYear": company.founded,
        "location": f"200 Main Street, {city}, {state_code}, {country}",
        "timeZone": "America/Chicago",
        "utcOffset": -6,
        "geo": {
            "city": city,
            "state": state,
            "stateCode": state_code,
            "postalCode": None,
            "country": country,
            "countryCode": country_code,
            "lat": None,
            "lng": None,
        },
        "facebook": {"handle": None, "likes": None},
        "linkedin": {"handle": f"company/{company.slug}"},
        "twitter": {"handle": company.slug, "followers": None, "bio": None},
        "crunchbase": {"handle": f"organization/{company.slug}"},
        "emailProvider": False,
        "type": "private",
        "ticker": None,
        "phone": company.phone,
        "metrics": {
            "employees": company.employees,
            "employeesRange": employees_band(company.employees),
            "raised": company.raised or None,
            "annualRevenue": None,
            "estimatedAnnualRevenue": "$10M-$50M",
            "trafficRank": "medium",
            "alexaGlobalRank": None,
        },
        "indexedAt": "2025-11-02T08:14:00Z",
        "tech": [name.lower().replace(" ", "_") for name, _, _ in company.technologies],
        "techCategories": sorted({tag.lower().replace(" ", "_") for _, tag, _ in company.technologies}),
        "parent": {"domain": None},
        "ultimateParent": {"domain": None},
    }
