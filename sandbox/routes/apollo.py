"""Apollo: people match, organization enrich, their bulk forms, signals, account. Misses are 200 and free."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from zlib import crc32

from sandbox.companies import NEWS, Company
from sandbox.limits import Pressure, Quota
from sandbox.people import Person
from sandbox.routes.apollo_questions import (
    COMPANY_KEYS,
    PERSON_KEYS,
    batch_asked,
    company_asked,
    fields_of,
    first_asked,
    ids_asked,
    organization_inputs,
    person_asked,
    words_of,
)
from sandbox.routes.apollo_records import article, brief, is_id, organization_record, person_record, posting
from sandbox.vendor import Operation, Vendor, asked
from sandbox.wire import NOTHING, Ask, Reply, answer, text

BULK_LIMIT = 10


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
            Operation("organization", "GET", f"{api}/organizations/enrich", company_asked, self.organization),
            Operation(
                "organizations",
                "POST",
                f"{api}/organizations/bulk_enrich",
                batch_asked,
                self.organizations,
                "bulk",
            ),
            Operation("person", "POST", f"{api}/people/match", person_asked, self.match, "people"),
            Operation("people", "POST", f"{api}/people/bulk_match", batch_asked, self.matches, "bulk"),
            Operation(
                "jobs", "GET", f"{api}/organizations/*/job_postings", first_asked, self.jobs, "signals"
            ),
            Operation("news", "POST", f"{api}/news_articles/search", ids_asked, self.news, "signals"),
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
        company = self.company(fields_of(ask, COMPANY_KEYS))
        if not self.sell("organization", question, hit=company is not None):
            return self.out_of_credits()
        if company is None:
            return answer({"organization": None} if "organization_null" in self.on else {})
        return answer({"organization": self.record(company)})

    def organizations(self, ask: Ask, _question: str) -> Reply:
        """Up to ten; the found ones only, to be joined on primary_domain."""
        inputs = organization_inputs(ask)
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
        record = organization_record(company)
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
        person = self.person(fields_of(ask, PERSON_KEYS))
        if not self.sell("person", question, hit=person is not None):
            return self.out_of_credits()
        if person is None:
            return answer(self.nobody(fields_of(ask, PERSON_KEYS)))
        return answer({"person": person_record(person), "request_id": _request_id(question)})

    def matches(self, ask: Ask, _question: str) -> Reply:
        """Up to ten, in the order asked, null for a miss."""
        details = ask.data.get("details")
        inputs = [words_of(item, PERSON_KEYS) for item in details] if isinstance(details, list) else []
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
                "matches": [None if person is None else person_record(person) for person in people],
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
            "person": stub | {"organization": None if company is None else brief(company)},
            "request_id": 0,
        }

    # -- signals and account

    def jobs(self, ask: Ask, question: str) -> Reply:
        """One credit per page."""
        if not self.sell("jobs", question, hit=True):
            return self.out_of_credits()
        company = self.by_id(ask.args[0])
        postings = [] if company is None or NEWS not in company.known_to else [posting(company)]
        return answer({"organization_job_postings": postings})

    def news(self, ask: Ask, question: str) -> Reply:
        """One credit per page."""
        if not self.sell("news", question, hit=True):
            return self.out_of_credits()
        companies = (self.by_id(number) for number in ids_asked(ask).split(" | "))
        articles = [article(company) for company in companies if company and NEWS in company.known_to]
        page = {"page": 1, "per_page": 25, "total_entries": len(articles), "total_pages": 1}
        return answer({"pagination": page, "news_articles": articles})

    def by_id(self, number: str) -> Company | None:
        """The company of an id that this vendor handed out."""
        position = int(number[8:] or "0", 16) - 1 if is_id(number) else -1
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


def _nothing(_ask: Ask) -> str:
    return ""


def _request_id(question: str) -> int:
    """Signed, and often negative."""
    return -(crc32(question.encode()) << 30)
