"""BuiltWith: technologies of a web site. Nearly every answer is 200; every look-up is billed, misses too."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any, ClassVar

from sandbox.companies import Company, bare_domain
from sandbox.limits import Pressure, Quota
from sandbox.vendor import Operation, Setting, Vendor
from sandbox.wire import NOTHING, Ask, Reply, answer, word

LOOKUP_LIMIT, SYNC_LIMIT, BULK_LIMIT = 16, 32, 5_000
INDEXED, SEEN = 1_467_331_200_000, 1_756_684_800_000
CODES = {
    -2: "API key is missing or not a GUID.",
    -3: "You do not have enough credits.",
    -5: "Plan allowance reached, please upgrade.",
    -6: "Could not save usage.",
    -8: "The root domain is bad, unsupported or on the ignore list.",
    -99: "Internal error.",
}
# variant -> error code, per looked-up domain and for the whole call
DOMAIN_ERRORS = {"ignored_domain": -8}
CALL_ERRORS = {"internal_error": -99, "usage_not_saved": -6, "allowance_reached": -5}


@dataclass(slots=True)
class Job:
    """One bulk job above the synchronous size, billed when it is taken in; its result can be read once."""

    result: Reply
    polls: int = 0
    read: bool = False


class BuiltWith(Vendor):
    """Version in the path; the key in the query or as `Authorization: API <GUID>`."""

    name = "builtwith"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(per_second=10, in_flight=8),
        "free": Quota(per_second=1),
    }
    variants = frozenset(
        (*DOMAIN_ERRORS, *CALL_ERRORS, "meta_null", "live_thin", "empty_path", "unauthorised_401")
    )

    def __init__(self, setting: Setting) -> None:
        """The account's key is a GUID; no bulk job yet."""
        super().__init__(setting)
        self.account.key = str(uuid.UUID(self.account.key))
        self.jobs: dict[str, Job] = {}
        self.numbers = count(1)

    def operations(self) -> Sequence[Operation]:
        """Look-up in two versions, bulk, account, the free counts."""
        return (
            Operation("lookup", "GET", "v23/api.json", _lookup, self.lookup),
            Operation("lookup", "GET", "v22/api.json", _lookup, self.lookup),
            Operation("bulk", "POST", "v23/domain/bulk", _batch, self.bulk),
            Operation("bulk_status", "GET", "v23/domain/bulk/*", _first, self.bulk_status),
            Operation("bulk_result", "GET", "v23/domain/bulk/*/result", _first, self.bulk_result),
            Operation("whoami", "GET", "whoamiv1/api.json", _nothing, self.whoami, "none"),
            Operation("usage", "GET", "usagev2/api.json", _nothing, self.usage, "none"),
            Operation("free", "GET", "free1/api.json", _lookup, self.free, "free"),
        )

    def lookup(self, ask: Ask, _question: str) -> Reply:
        """One credit per domain."""
        domains = [domain for domain in map(bare_domain, ask.param("LOOKUP").split(",")) if domain]
        if not 0 < len(domains) <= LOOKUP_LIMIT:
            return _errors(-8)
        for variant, code in CALL_ERRORS.items():
            if variant in self.on:
                return _errors(code)
        return self.results(domains, with_meta=ask.param("NOMETA") != "yes")

    def results(self, domains: list[str], *, with_meta: bool) -> Reply:
        """Bought one by one, told together; refused as a whole where the balance is short."""
        if not self.account.covers(Decimal(len(domains))):
            return self.out_of_credits()
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for domain in domains:
            company = self.listed(self.world.company(domain))
            self.sell("lookup", domain, hit=company is not None, billed=True)
            if "ignored_domain" in self.on:
                errors.append(_error(-8, domain))
            else:
                results.append(self.result(domain, company, with_meta=with_meta))
        return answer(
            {"Results": results, "Errors": errors, "Trust": None}, 200, self.credit_headers(len(domains))
        )

    def result(self, domain: str, company: Company | None, *, with_meta: bool) -> dict[str, Any]:
        """One domain; `Meta` and `Attributes` sit beside `Result`."""
        paths = [] if company is None else [_path(company, domain)]
        if company is None and "empty_path" in self.on:
            paths = [_bare_path(domain, [])]
        if company is not None and "live_thin" in self.on:
            paths = [_bare_path(domain, paths[0]["Technologies"][:1])]
        meta = None if company is None or not with_meta or "meta_null" in self.on else _meta(company)
        return {
            "Result": {
                "IsDB": "False" if company is None or "live_thin" in self.on else "True",
                "Spend": 0 if company is None else company.employees * 8,
                "SpendHistory": [],
                "Paths": paths,
            },
            "Meta": meta,
            "Attributes": _attributes(company),
            "FirstIndexed": INDEXED,
            "LastIndexed": SEEN,
            "Lookup": domain,
            "SalesRevenue": 0,
        }

    def bulk(self, ask: Ask, _question: str) -> Reply:
        """At once up to 32, as a job beyond."""
        given = ask.data.get("lookups")
        lookups = [bare_domain(word(item)) for item in given] if isinstance(given, list) else []
        if not 0 < len(lookups) <= BULK_LIMIT:
            return _errors(-8)
        covered = self.account.covers(Decimal(len(lookups)))
        result = self.results(lookups, with_meta=True)
        if len(lookups) <= SYNC_LIMIT or not covered:
            return result
        number = str(uuid.UUID(int=next(self.numbers)))
        self.jobs[number] = Job(result)
        body = {"job_id": number, "status": "queued", "count": len(lookups), "sync_max": SYNC_LIMIT}
        return answer(body, 202)

    def bulk_status(self, _ask: Ask, question: str) -> Reply:
        """Queued, running, completed: one step with each look."""
        job = self.jobs.get(question)
        if job is None:
            return answer({"error": "Job not found."}, 404)
        job.polls += 1
        status = ("queued", "running", "completed")[min(job.polls, 3) - 1]
        url = f"/v23/domain/bulk/{question}/result"
        return answer({"status": status, "result_url": url if status == "completed" else None})

    def bulk_result(self, _ask: Ask, question: str) -> Reply:
        """Deleted after the first read."""
        job = self.jobs.get(question)
        if job is None or job.read:
            return answer({"error": "Result not found."}, 404)
        job.read = True
        return job.result

    def whoami(self, _ask: Ask, _question: str) -> Reply:
        """Limits of the account; free."""
        quota = self.gates["default"].quota
        return answer(
            {
                "maxConcurrentRequests": quota.in_flight,
                "maxRequestsPerSecond": quota.per_second,
                "maxLookupsPerRequest": LOOKUP_LIMIT,
                "bulkSyncMax": SYNC_LIMIT,
            },
        )

    def usage(self, _ask: Ask, _question: str) -> Reply:
        """Credits; free."""
        used, left = int(self.account.used), int(self.account.left)
        return answer({"used": used, "purchased": used + left, "remaining": left})

    def free(self, ask: Ask, _question: str) -> Reply:
        """Counts without names; free."""
        domain = bare_domain(ask.param("LOOKUP"))
        company = self.listed(self.world.company(domain))
        tags = sorted({tag for _, tag, _ in company.technologies}) if company else []
        groups = [{"name": tag, "live": 1, "dead": 0, "categories": []} for tag in tags]
        return answer({"domain": domain, "first": INDEXED // 1_000, "last": SEEN // 1_000, "groups": groups})

    def authorised(self, ask: Ask) -> bool:
        """From the query or the header."""
        header = ask.headers.get("Authorization", "").removeprefix("API ")
        return self.account.key in {ask.param("KEY"), header}

    def unauthorised(self, _ask: Ask) -> Reply:
        """Error -2 inside a 200, or a plain 401."""
        return answer({"error": "Unauthorized"}, 401) if "unauthorised_401" in self.on else _errors(-2)

    def blocked(self, _ask: Ask) -> Reply:
        """Error -5: the plan does not allow it."""
        return _errors(-5)

    def out_of_credits(self) -> Reply:
        """Error -3 inside a 200."""
        return _errors(-3)

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 with the wait in the body."""
        gate = self.gates["default"]
        body = {
            "error": "Rate limit exceeded.",
            "maxConcurrentRequests": gate.quota.in_flight,
            "maxRequestsPerSecond": gate.quota.per_second,
            "currentConcurrentRequests": gate.in_flight,
            "currentRequestsInWindow": pressure.limit,
            "retryAfterSeconds": pressure.wait_s,
        }
        return answer(body, 429)

    def failed(self) -> Reply:
        """500."""
        return answer({"error": "Internal server error"}, 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """Error -1: no such extension or endpoint."""
        body = {"Results": [], "Errors": [{"Lookup": None, "Code": -1, "Message": "Unsupported extension."}]}
        return answer(body, 405 if path_known else 404)

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """Both limits."""
        if pressure is None:
            return NOTHING
        return {
            "X-RATELIMIT-LIMIT-CONCURRENT": str(self.gates["default"].quota.in_flight),
            "X-RATELIMIT-LIMIT-PERSECOND": str(pressure.limit),
            "X-RATELIMIT-CURRENT-CONCURRENT": str(self.gates["default"].in_flight),
            "X-RATELIMIT-CURRENT-PERSECOND": str(pressure.limit - pressure.remaining),
        }

    def credit_headers(self, used: int) -> Mapping[str, str]:
        """The drop in REMAINING is what the call cost."""
        left = int(self.account.left)
        return {
            "X-API-CREDITS-AVAILABLE": str(left + used),
            "X-API-CREDITS-USED": str(int(self.account.used)),
            "X-API-CREDITS-REMAINING": str(left),
        }


def _error(code: int, domain: str | None) -> dict[str, Any]:
    return {"Lookup": domain, "Code": code, "Message": CODES[code]}


def _errors(code: int) -> Reply:
    return answer({"Results": [], "Errors": [_error(code, None)]})


def _path(company: Company, domain: str) -> dict[str, Any]:
    return _bare_path(
        domain, [_technology(company, position) for position in range(len(company.technologies))]
    )


def _bare_path(domain: str, technologies: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "FirstIndexed": INDEXED,
        "LastIndexed": SEEN,
        "Domain": domain,
        "Url": "",
        "SubDomain": "",
        "Technologies": technologies,
    }


def _technology(company: Company, position: int) -> dict[str, Any]:
    name, tag, category = company.technologies[position]
    return {
        "Name": name,
        "Description": f"{name}.",
        "Link": f"https://technology.example/{name.lower().replace(' ', '-')}",
        "Parent": "",
        "Tag": tag,
        "Categories": [category] if category else None,
        "FirstDetected": 1_600_000_000_000,
        "LastDetected": SEEN,
        "IsPremium": ("Yes", "No", "Maybe")[position % 3],
    }


def _meta(company: Company) -> dict[str, Any]:
    city, _, state, _, country = company.place
    return {
        "CompanyName": company.name,
        "Vertical": company.industry.title(),
        "Social": [f"http://linkedin.com/company/{company.slug}"],
        "Telephones": [company.phone],
        "Emails": [f"hello@{company.domain}"],
        "City": city,
        "State": state,
        "Postcode": None,
        "Country": country,
        "Names": [],
        "Majestic": 100_000 + company.number,
        "Umbrella": 0,
        "ARank": -1,
        "QRank": -1,
    }


def _attributes(company: Company | None) -> dict[str, Any]:
    return {
        "Employees": 0 if company is None else company.employees,
        "ProductCount": 0,
        "Followers": 0,
        "RefSN": 0,
        "RefIP": 0,
        "TTFB": 220,
        "Sitemap": 0,
        "CDimensions": 0,
        "CGoals": 0,
        "CMetrics": 0,
    }


def _lookup(ask: Ask) -> str:
    return ",".join(map(bare_domain, ask.param("LOOKUP").split(",")))


def _batch(ask: Ask) -> str:
    given = ask.data.get("lookups")
    return f"batch of {len(given) if isinstance(given, list) else 0}"


def _first(ask: Ask) -> str:
    return ask.args[0]


def _nothing(_ask: Ask) -> str:
    return ""
