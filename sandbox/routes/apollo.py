"""Apollo: people match, organization enrich, their bulk forms, signals, account. Misses are 200 and free."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from zlib import crc32

from sandbox.companies import NEWS, Company
from sandbox.limits import Pressure, Quota
from sandbox.people import Person
from sandbox.vendor import Operation, Vendor, asked
from sandbox.wire import NOTHING, Ask, Reply, answer, text, word

BULK_LIMIT = 10
COMPANY_KEYS = ("domain", "linkedin_url", "name", "website")
PERSON_KEYS = (
    "email",
    "id",
    "linkedin_url",
    "name",
    "first_name",
    "last_name",
    "domain",
    "organization_name",
)


class Apollo(Vendor):
    """`/api/v1`, key in a header; parameters from the query or the JSON body."""

    name = "apollo"
    base = "/api/v1"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(per_minute=1_000),
        "people": Quota(per_minute=1_000),
        "bulk": Quota(per_minute=1_000),
        "signals": Quota(per_minute=1_000),
    }
    variants = frozenset(("stub_person", "no_person_key", "organization_null", "sparse", "inaccessible"))

    def operations(self) -> Sequence[Operation]:
        """Enrichment, bulk enrichment, signals, account."""
        api = "api/v1"
        return (
            Operation("organization", "GET", f"{api}/organizations/enrich", _company, self.organization),
            Operation(
                "organizations",
                "POST",
                f"{api}/organizations/bulk_enrich",
                _batch,
                self.organizations,
                "bulk",
            ),
            Operation("person", "POST", f"{api}/people/match", _person, self.match, "people"),
            Operation("people", "POST", f"{api}/people/bulk_match", _batch, self.matches, "bulk"),
            Operation("jobs", "GET", f"{api}/organizations/*/job_postings", _first, self.jobs, "signals"),
            Operation("news", "POST", f"{api}/news_articles/search", _ids, self.news, "signals"),
            Operation("health", "GET", f"{api}/auth/health", _nothing, self.health, "none"),
            Operation("profile", "GET", f"{api}/users/api_profile", _nothing, self.profile, "none"),
            Operation("usage", "POST", f"{api}/usage_stats/api_usage_stats", _nothing, self.usage, "none"),
        )

    # -- organizations

    def organization(self, ask: Ask, question: str) -> Reply:
        """One credit when found; an unknown domain is an empty object."""
        if not question:
            return _invalid("Provide at least one of domain, linkedin_url, name or website.")
        if "inaccessible" in self.on:
            return self.inaccessible("organizations/enrich")
        company = self.company(_fields(ask, COMPANY_KEYS))
        if not self.sell("organization", question, hit=company is not None):
            return self.out_of_credits()
        if company is None:
            return answer({"organization": None} if "organization_null" in self.on else {})
        return answer({"organization": self.record(company)})

    def organizations(self, ask: Ask, _question: str) -> Reply:
        """Up to ten; the found ones only, to be joined on primary_domain."""
        inputs = _organization_inputs(ask)
        if refusal := _bad_batch(inputs):
            return refusal
        if not self.account.covers(Decimal(len(inputs))):
            return self.out_of_credits()
        companies = [company for fields in inputs if (company := self.bought_company(fields)) is not None]
        return answer(
            {
                "status": "success",
                "unique_enriched_records": len(companies),
                "missing_records": len(inputs) - len(companies),
                "organizations": [self.record(company) for company in companies],
            },
        )

    def bought_company(self, fields: Mapping[str, str]) -> Company | None:
        """One of a bulk, billed by itself."""
        company = self.company(fields)
        self.sell("organization", asked(*fields.values()), hit=company is not None)
        return company

    def company(self, fields: Mapping[str, str]) -> Company | None:
        """By any of its keys."""
        found = (self.world.company(value) for value in fields.values() if value)
        return self.listed(next((company for company in found if company), None))

    def record(self, company: Company) -> dict[str, Any]:
        """The organization; the sparse variant leaves out what rarely is known."""
        record = _organization(company)
        if "sparse" in self.on:
            record |= {
                "short_description": None,
                "seo_description": None,
                "industry": None,
                "primary_phone": {},
            }
        return record

    # -- people

    def match(self, ask: Ask, question: str) -> Reply:
        """One credit when the person is known."""
        if not question:
            return _invalid("Provide an email, a LinkedIn address, or a name and a company.")
        person = self.person(_fields(ask, PERSON_KEYS))
        if not self.sell("person", question, hit=person is not None):
            return self.out_of_credits()
        if person is None:
            return answer(self.nobody(_fields(ask, PERSON_KEYS)))
        return answer({"person": _record(person), "request_id": _request_id(question)})

    def matches(self, ask: Ask, _question: str) -> Reply:
        """Up to ten, in the order asked, null for a miss."""
        details = ask.data.get("details")
        inputs = [_words(item, PERSON_KEYS) for item in details] if isinstance(details, list) else []
        if refusal := _bad_batch(inputs):
            return refusal
        if not self.account.covers(Decimal(len(inputs))):
            return self.out_of_credits()
        people = [self.bought_person(fields) for fields in inputs]
        found = sum(person is not None for person in people)
        return answer(
            {
                "status": "success",
                "error_code": None,
                "error_message": None,
                "total_requested_enrichments": len(inputs),
                "unique_enriched_records": found,
                "missing_records": len(inputs) - found,
                "credits_consumed": found,
                "matches": [None if person is None else _record(person) for person in people],
            },
        )

    def bought_person(self, fields: Mapping[str, str]) -> Person | None:
        """One of a bulk, billed by itself."""
        person = self.person(fields)
        self.sell("person", asked(*fields.values()), hit=person is not None)
        return person

    def person(self, fields: Mapping[str, str]) -> Person | None:
        """By address, profile, or name and company; Apollo knows the people of the companies it knows."""
        name = fields["name"] or f"{fields['first_name']} {fields['last_name']}"
        person = (
            self.world.owner(fields["email"])
            or self.world.person_at(fields["linkedin_url"])
            or self.world.person(name.strip(), fields["domain"] or fields["organization_name"])
        )
        return person if person is not None and self.listed(person.company) else None

    def nobody(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """No match: null, no key at all, or the stub that would invent a contact."""
        if "no_person_key" in self.on:
            return {}
        if "stub_person" not in self.on:
            return {"person": None, "request_id": 0}
        company = self.world.company(fields["email"].rpartition("@")[2] or fields["domain"])
        stub = {"id": None, "name": "", "first_name": "", "last_name": "", "match_confidence": "none"}
        return {
            "person": stub | {"organization": None if company is None else _stub(company)},
            "request_id": 0,
        }

    # -- signals and account

    def jobs(self, ask: Ask, question: str) -> Reply:
        """One credit per page."""
        if not self.sell("jobs", question, hit=True):
            return self.out_of_credits()
        company = self.by_id(ask.args[0])
        postings = [] if company is None or NEWS not in company.known_to else [_posting(company)]
        return answer({"organization_job_postings": postings})

    def news(self, ask: Ask, question: str) -> Reply:
        """One credit per page."""
        if not self.sell("news", question, hit=True):
            return self.out_of_credits()
        companies = (self.by_id(number) for number in _ids(ask).split(" | "))
        articles = [_article(company) for company in companies if company and NEWS in company.known_to]
        page = {"page": 1, "per_page": 25, "total_entries": len(articles), "total_pages": 1}
        return answer({"pagination": page, "news_articles": articles})

    def by_id(self, number: str) -> Company | None:
        """The company of an id that this vendor handed out."""
        position = int(number[8:] or "0", 16) - 1 if _is_id(number) else -1
        return self.world.companies[position] if 0 <= position < len(self.world.companies) else None

    def health(self, _ask: Ask, _question: str) -> Reply:
        """Free probe."""
        return answer({"healthy": True, "is_logged_in": True})

    def profile(self, _ask: Ask, _question: str) -> Reply:
        """Balance: the allowance less what is used; `num_credits_remaining` can read 0 all the same."""
        used = int(self.account.used)
        allowance = used + int(self.account.left)
        return answer(
            {
                "effective_num_lead_credits": allowance,
                "total_unified_credits_used": used,
                "num_credits_remaining": 0,
            },
        )

    def usage(self, _ask: Ask, _question: str) -> Reply:
        """Limits by endpoint."""
        minute = self.gates["default"].pressure()
        limit, left = (None, None) if minute is None else (minute.limit, minute.remaining)
        used = None if limit is None or left is None else limit - left
        window = {"limit": limit, "consumed": used, "left_over": left}
        return answer({'["api/v1/organizations", "enrich"]': {"minute": window}})

    # -- refusals

    def authorised(self, ask: Ask) -> bool:
        """Header."""
        return ask.headers.get("x-api-key") == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """401 in words, not JSON."""
        return text("Invalid access credentials.", 401)

    def blocked(self, _ask: Ask) -> Reply:
        """403."""
        return self.inaccessible("this endpoint")

    def inaccessible(self, endpoint: str) -> Reply:
        """403 of a key whose plan or scope does not include the endpoint."""
        words = f"{endpoint} is not accessible with this api_key."
        return answer({"error": words, "error_code": "API_INACCESSIBLE"}, 403)

    def out_of_credits(self) -> Reply:
        """422, told from bad input by its words."""
        return _invalid("Insufficient credits. Upgrade your plan to continue.")

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 with seconds to wait."""
        words = f"The maximum number of api calls allowed is {pressure.limit} times per {pressure.bucket}."
        return answer(
            {"message": words}, 429, {"retry-after": str(pressure.wait_s), **self.headers(pressure)}
        )

    def failed(self) -> Reply:
        """500."""
        return answer({"error": "Internal server error"}, 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """404, whatever the reason."""
        return answer({"error": "Not found"}, 405 if path_known else 404)

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """The minute's window; hour and day are unlimited, which reads as an empty value."""
        if pressure is None:
            return NOTHING
        return {
            "x-rate-limit-minute": str(pressure.limit),
            "x-rate-limit-hourly": "",
            "x-rate-limit-24-hour": "",
            "x-minute-usage": str(pressure.limit - pressure.remaining),
            "x-minute-requests-left": str(pressure.remaining),
            "x-hourly-requests-left": "",
            "x-24-hour-requests-left": "",
        }


def _invalid(words: str) -> Reply:
    return answer({"error": words}, 422)


def _bad_batch(inputs: Sequence[Mapping[str, str]]) -> Reply | None:
    if 0 < len(inputs) <= BULK_LIMIT and all(any(fields.values()) for fields in inputs):
        return None
    code = "RECORD_LIMIT_EXCEEDED" if len(inputs) > BULK_LIMIT else "INVALID_REQUEST"
    body = {"status": "failed", "error_code": code, "error_message": f"Send 1 to {BULK_LIMIT} records."}
    return answer(body, 400)


def _fields(ask: Ask, names: Sequence[str]) -> dict[str, str]:
    return {name: ask.param(name) or ask.word(name) for name in names}


def _words(item: object, names: Sequence[str]) -> dict[str, str]:
    fields = item if isinstance(item, dict) else {}
    return {name: word(fields.get(name)) for name in names}


def _organization_inputs(ask: Ask) -> list[dict[str, str]]:
    """From `domains[]` in the query, `domains` in the body, or `details`."""
    details = ask.data.get("details")
    if isinstance(details, list):
        return [_words(item, COMPANY_KEYS) for item in details]
    domains = ask.data.get("domains")
    listed = domains if isinstance(domains, list) else ask.params("domains[]")
    return [{"domain": word(domain)} for domain in listed]


def _company(ask: Ask) -> str:
    return asked(*_fields(ask, COMPANY_KEYS).values())


def _person(ask: Ask) -> str:
    return asked(*_fields(ask, PERSON_KEYS).values())


def _batch(ask: Ask) -> str:
    given = ask.data.get("details") or ask.data.get("domains") or ask.params("domains[]")
    return f"batch of {len(given) if isinstance(given, list) else 0}"


def _ids(ask: Ask) -> str:
    given = ask.data.get("organization_ids")
    return asked(*map(word, given)) if isinstance(given, list) else asked(*ask.params("organization_ids[]"))


def _first(ask: Ask) -> str:
    return ask.args[0]


def _nothing(_ask: Ask) -> str:
    return ""


def _is_id(number: str) -> bool:
    return number.startswith("5f00aa11") and all(digit in "0123456789abcdef" for digit in number)


def _company_id(company: Company) -> str:
    return f"5f00aa11{company.number:016x}"


def _request_id(question: str) -> int:
    """Signed, and often negative."""
    return -(crc32(question.encode()) << 30)


def _stub(company: Company) -> dict[str, Any]:
    return {"id": _company_id(company), "name": company.name}


def _record(person: Person) -> dict[str, Any]:
    company = person.company
    city, state, _, country, _ = company.place
    current = {
        "_id": f"66d1{person.number:08x}",
        "current": True,
        "organization_id": _company_id(company),
        "organization_name": company.name,
        "title": person.title,
        "start_date": "2022-04-01",
        "end_date": None,
        "degree": None,
        "major": None,
        "kind": None,
    }
    earlier = {
        "_id": f"66d2{person.number:08x}",
        "current": False,
        "organization_id": None,
        "organization_name": "Lone Star Freight",
        "title": "Operations Manager",
        "start_date": "2017-01-01",
        "end_date": "2022-03-01",
    }
    return {
        "id": f"64b0aa11{person.number:016x}",
        "first_name": person.first,
        "last_name": person.last,
        "name": person.name,
        "title": person.title,
        "headline": f"{person.title} at {company.name}",
        "linkedin_url": person.linkedin.replace("https://", "http://") or None,
        "email": person.email or None,
        "email_status": "verified" if person.email else None,
        "twitter_url": None,
        "github_url": None,
        "facebook_url": None,
        "city": city,
        "state": state,
        "country": country,
        "organization_id": _company_id(company),
        "seniority": "vp" if person.title.startswith("VP") else "manager",
        "departments": ["master_operations"],
        "subdepartments": ["operations"],
        "functions": ["operations"],
        "employment_history": [current, {**current, **earlier}],
        "contact_id": None,
        "contact": None,
        "organization": _stub(company),
        "is_likely_to_engage": True,
    }


def _organization(company: Company) -> dict[str, Any]:
    city, state, short, country, code = company.place
    digits = "+" + "".join(filter(str.isdigit, company.phone))
    raised = company.raised
    return {
        "id": _company_id(company),
        "name": company.name,
        "website_url": f"http://www.{company.domain}",
        "primary_domain": company.domain,
        "linkedin_url": f"http://www.linkedin.com/company/{company.slug}",
        "twitter_url": None,
        "facebook_url": None,
        "crunchbase_url": None,
        "phone": company.phone,
        "primary_phone": {"number": company.phone, "sanitized_number": digits},
        "founded_year": company.founded,
        "publicly_traded_symbol": None,
        "industry": company.industry,
        "industries": [company.industry],
        "secondary_industries": [],
        "keywords": company.keywords,
        "estimated_num_employees": company.employees,
        "raw_address": f"200 Main Street, {city}, {short}, {code}",
        "city": city,
        "state": state,
        "country": country,
        "seo_description": company.description,
        "short_description": company.description,
        "annual_revenue": company.revenue,
        "annual_revenue_printed": f"{company.revenue / 1e6:.0f}M",
        "total_funding": raised or None,
        "total_funding_printed": f"{raised / 1e6:.0f}M" if raised else None,
        "latest_funding_stage": "Series B" if raised else None,
        "latest_funding_round_date": "2025-03-11T00:00:00.000+00:00" if raised else None,
        "funding_events": [_funding(company)] if raised else [],
        "technology_names": [name for name, _, _ in company.technologies],
        "current_technologies": [
            {"uid": name.lower().replace(" ", "_"), "name": name, "category": category or tag}
            for name, tag, category in company.technologies
        ],
        "organization_headcount_twelve_month_growth": float(company.number % 40 - 10),
        "departmental_head_count": {"engineering": company.employees // 3, "sales": company.employees // 8},
    }


def _funding(company: Company) -> dict[str, Any]:
    return {
        "id": f"f{company.number}",
        "date": "2025-03-11T00:00:00.000+00:00",
        "type": "Series B",
        "investors": "Blue Mesa, Harbor VC",
        "amount": f"{company.raised / 2e6:.0f}M",
        "currency": "$",
        "news_url": None,
    }


def _posting(company: Company) -> dict[str, Any]:
    city, state, _, country, _ = company.place
    return {
        "id": f"job{company.number}",
        "title": "Operations Analyst",
        "url": f"https://{company.domain}/careers/operations-analyst",
        "city": city,
        "state": state,
        "country": country,
        "last_seen_at": "2026-09-01T00:00:00.000+00:00",
        "posted_at": "2026-08-20T00:00:00.000+00:00",
    }


def _article(company: Company) -> dict[str, Any]:
    return {
        "url": f"https://news.example/{company.slug}",
        "domain": "news.example",
        "title": f"{company.name} opens a second site",
        "snippet": company.description,
        "published_at": "2026-08-11T00:00:00.000+00:00",
        "event_categories": ["expands_facilities"],
    }
