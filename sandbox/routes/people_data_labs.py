"""People Data Labs: company enrichment, single and bulk. A match costs a credit, a 404 nothing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from sandbox.companies import Company
from sandbox.limits import Pressure, Quota
from sandbox.vendor import Operation, Vendor, asked
from sandbox.wire import NOTHING, Ask, Reply, answer, encoded, word

BULK_LIMIT = 100
KEYS = ("website", "name", "profile", "ticker", "pdl_id")
BANDS = (
    (10, "1-10"),
    (50, "11-50"),
    (200, "51-200"),
    (500, "201-500"),
    (1_000, "501-1000"),
    (5_000, "1001-5000"),
)
LIKELIHOOD, LOW_LIKELIHOOD = 9, 3
FOUND, NO_CREDITS = 200, 402  # the status is repeated in the body


class PeopleDataLabs(Vendor):
    """Key in a header or the query; one flat record without a wrapper; limits as JSON inside headers."""

    name = "people_data_labs"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(per_minute=1_000),
        "bulk": Quota(per_minute=1_000),
    }
    variants = frozenset(("low_likelihood", "plain_headers"))

    def operations(self) -> Sequence[Operation]:
        """Enrichment and its bulk form."""
        return (
            Operation("company", "GET", "v5/company/enrich", _identity, self.enrich),
            Operation("bulk", "POST", "v5/company/enrich/bulk", _batch, self.bulk, "bulk"),
        )

    def enrich(self, ask: Ask, question: str) -> Reply:
        """One company."""
        params = dict(ask.query)
        record = self.record(params, question)
        if record["status"] == NO_CREDITS:
            return self.out_of_credits()
        spent = record["status"] == FOUND
        return answer(record, record["status"], self.credit_headers(int(spent)))

    def record(self, params: Mapping[str, Any], question: str) -> dict[str, Any]:
        """The record or the error, each with its status inside."""
        if not question:
            return _error(400, "invalid_request_error", "At least one identifier is needed.")
        company = self.company(params)
        lacking = company is not None and _lacks(company, word(params.get("required")))
        hit = company is not None and not lacking
        if not self.sell("company", question, hit=hit):
            return _error(402, "payment_required", "You have reached your plan's limit.")
        if company is None or lacking:
            return _error(404, "not_found", "No records were found matching your request.")
        return self.shaped(company, titlecase=word(params.get("titlecase")).lower() == "true")

    def company(self, params: Mapping[str, Any]) -> Company | None:
        """By website, name or profile; unless more likelihood is wanted than there is."""
        profile = word(params.get("profile")).rstrip("/").rpartition("/")[2].replace("-", " ")
        given = word(params.get("website")) or word(params.get("name")) or profile
        minimum = word(params.get("min_likelihood"))
        likelihood = LOW_LIKELIHOOD if "low_likelihood" in self.on else LIKELIHOOD
        if minimum.isdecimal() and int(minimum) > likelihood:
            return None
        return self.listed(self.world.company(given)) if given else None

    def shaped(self, company: Company, *, titlecase: bool) -> dict[str, Any]:
        """Lower case unless asked otherwise; in the rare case an unlikely match of another domain."""
        record = _company(company)
        if "low_likelihood" in self.on:
            record |= {"likelihood": LOW_LIKELIHOOD, "website": f"other-{company.domain}"}
        return record | {"name": company.name} if titlecase else record

    def bulk(self, ask: Ask, _question: str) -> Reply:
        """An array, each item with its own status and its metadata."""
        requests = ask.data.get("requests")
        if not isinstance(requests, list) or not 0 < len(requests) <= BULK_LIMIT:
            return answer(_error(400, "invalid_request_error", f"Send 1 to {BULK_LIMIT} requests."), 400)
        if not self.account.covers(Decimal(len(requests))):
            return self.out_of_credits()
        before = self.account.used
        items = [self.bulk_item(item) for item in requests]
        return answer(items, 200, self.credit_headers(int(self.account.used - before)))

    def bulk_item(self, item: Any) -> dict[str, Any]:
        """One of a bulk."""
        fields = item if isinstance(item, dict) else {}
        given = fields.get("params")
        params = given if isinstance(given, dict) else {}
        return {"metadata": fields.get("metadata"), **self.record(params, _key(params))}

    def authorised(self, ask: Ask) -> bool:
        """Header or query."""
        return self.account.key in {ask.headers.get("X-Api-Key"), ask.param("api_key")}

    def unauthorised(self, _ask: Ask) -> Reply:
        """401."""
        return answer(_error(401, "authentication_error", "The API key is missing or wrong."), 401)

    def out_of_credits(self) -> Reply:
        """402 with a header that says how much is left: nothing."""
        body = _error(402, "payment_required", "You have reached your plan's limit.")
        return answer(body, 402, {"x-totallimit-remaining": "0"})

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 with an ISO reset and no Retry-After."""
        return answer(_error(429, "rate_limit_error", "Too many requests."), 429, self.headers(pressure))

    def failed(self) -> Reply:
        """500."""
        return answer(_error(500, "api_error", "Something went wrong."), 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """404, or 405 for the wrong method."""
        code = 405 if path_known else 404
        return answer(
            _error(code, "invalid_request_error" if path_known else "not_found", "No such route."), code
        )

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """Limits as JSON objects; as plain integers in the rare case."""
        if pressure is None:
            return NOTHING
        plain = "plain_headers" in self.on
        reset = datetime.fromtimestamp(pressure.reset_at, UTC).isoformat()
        return {
            "x-ratelimit-limit": str(pressure.limit) if plain else encoded({"minute": pressure.limit}),
            "x-ratelimit-remaining": str(pressure.remaining)
            if plain
            else encoded({"minute": pressure.remaining}),
            "x-ratelimit-reset": reset,
        }

    def credit_headers(self, spent: int) -> Mapping[str, str]:
        """What the call cost."""
        left = str(int(self.account.left))
        return {
            "x-call-credits-spent": str(spent),
            "x-call-credits-type": "company_enrich",
            "x-totallimit-remaining": left,
            "x-totallimit-purchased-remaining": left,
        }


def _error(code: int, kind: str, words: str) -> dict[str, Any]:
    return {"status": code, "error": {"type": kind, "message": words}}


def _lacks(company: Company, required: str) -> bool:
    """Whether one of the fields joined by AND is empty; OR is not spoken here."""
    record = _company(company)
    return any(not record.get(field.strip(" ()")) for field in required.split(" AND ")) if required else False


def _key(params: Mapping[str, Any]) -> str:
    return asked(*(word(params.get(name)) for name in KEYS))


def _identity(ask: Ask) -> str:
    return _key(ask.query)


def _batch(ask: Ask) -> str:
    given = ask.data.get("requests")
    return f"batch of {len(given) if isinstance(given, list) else 0}"


def _company(company: Company) -> dict[str, Any]:
    name, slug, raised = company.name.lower(), company.slug, company.raised
    city, region, _, country, _ = (part.lower() for part in company.place)
    return {
        "status": 200,
        "likelihood": LIKELIHOOD,
        "id": f"nw{company.number:07d}",
        "name": name,
        "display_name": company.name,
        "size": next((band for limit, band in BANDS if company.employees <= limit), "5001-10000"),
        "employee_count": company.employees,
        "founded": company.founded,
        "industry": company.industry,
        "industry_v2": company.industry,
        "naics": [{"naics_code": "333922", "sector": "manufacturing"}],
        "sic": [{"sic_code": "3535", "major_group": "industrial machinery"}],
        "location": {
            "name": f"{city}, {region}, {country}",
            "locality": city,
            "region": region,
            "country": country,
        },
        "linkedin_id": str(18_000_000 + company.number),
        "linkedin_url": f"linkedin.com/company/{slug}",
        "linkedin_slug": slug,
        "facebook_url": None,
        "twitter_url": f"twitter.com/{slug}",
        "profiles": [f"linkedin.com/company/{slug}"],
        "website": company.domain,
        "ticker": None,
        "type": "private",
        "headline": f"{company.industry} from {city}",
        "summary": company.description.lower(),
        "tags": company.keywords,
        "alternative_names": [],
        "alternative_domains": [],
        "affiliated_profiles": [],
        "employee_count_by_country": {country: company.employees},
        "total_funding_raised": raised or None,
        "latest_funding_stage": "series_b" if raised else None,
        "last_funding_date": "2025-03-11" if raised else None,
        "number_funding_rounds": 3 if raised else None,
        "dataset_version": "35.0",
    }
