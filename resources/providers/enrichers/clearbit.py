"""Clearbit: company facts by domain, for keys made in 2023 or before (help.clearbit.com).

`CLEARBIT_BASE_URL` may name a service that answers in the same form, such as https://api.hunter.io.
"""

from base64 import b64encode

from phase3_core.calls import Facts, Miss, Role
from phase3_core.tiers import Topic
from resources.providers.answers import Answer, Pending, Problem, Remedy, by_status_and_json
from resources.providers.enrichers.clearbit_answer import company_in, fields
from resources.providers.reading import text_at
from resources.providers.request import Question, Request, get
from resources.providers.response import Response, told_to_reset
from resources.providers.signing import Secrets, Signature
from resources.providers.spec import Operation, Poll, ProviderSpec


def find(domain: str) -> Request:
    return get("/v2/companies/find", domain=domain)


def by_domain(question: Question) -> Request | None:
    domain = question.lead.company_domain
    return find(domain) if domain else None


def read(response: Response) -> Answer:
    """202: it is being looked up, and the same question asked again tells when it is done."""
    if response.status == 202:
        asked = response.request.query if response.request else {}
        return Pending(asked.get("domain", ""))
    if response.status == 404:
        return Miss()
    company = company_in(response.body)
    return Facts(fields(company)) if company else Problem(Remedy.NONSENSE, "the answer is no company")


def problem(response: Response) -> Problem | None:
    if response.status == 404 and text_at(response.body, "error", "type") == "unknown_route":
        return Problem(Remedy.BAD_KEY, "unknown route: is CLEARBIT_BASE_URL right?")
    if response.status == 404 and isinstance(response.body, dict):
        return None
    if response.status == 429:
        return Problem(Remedy.RATE_LIMITED, "HTTP 429", told_to_reset(response))
    return by_status_and_json(response)


def sign(secrets: Secrets) -> Signature:
    """Basic, with the key as user name; substitutes take it as `X-API-KEY`."""
    key = secrets["CLEARBIT_API_KEY"]
    return Signature({"Authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}", "X-API-KEY": key})


POLL = Poll(find, read, every_s=5.0, give_up_s=65.0, billed=True)

SPEC = ProviderSpec(
    name="clearbit",
    role=Role.ENRICHER,
    base_url="https://company.clearbit.com",
    secrets=("CLEARBIT_API_KEY",),
    sign=sign,
    problem=problem,
    operations=(Operation("companies-find", by_domain, read, poll=POLL),),
    topics=frozenset({Topic.COMPANY, Topic.TECH_STACK, Topic.WEBSITE}),
    per_company=True,
)
