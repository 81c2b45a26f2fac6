"""Tomba: finder by name and domain, or by LinkedIn URL (docs.tomba.io)."""

from phase3_core.calls import Role
from resources.providers.answers import Answer, Problem, Remedy, by_status, hit_or_miss
from resources.providers.reading import dig, percent_at
from resources.providers.request import Question, Request, get
from resources.providers.response import Response, told_to_reset, told_to_wait
from resources.providers.signing import Secrets, Signature
from resources.providers.spec import Operation, ProviderSpec

ROUTING = {404, 405, 406, 410, 418}  # of the request, never of the person


def by_name(question: Question) -> Request | None:
    lead = question.lead
    if not (lead.company_domain and lead.full_name):
        return None
    if lead.first_name and lead.last_name:
        return get(
            "/email-finder",
            domain=lead.company_domain,
            first_name=lead.first_name,
            last_name=lead.last_name,
        )
    return get("/email-finder", domain=lead.company_domain, full_name=lead.full_name)


def by_linkedin(question: Question) -> Request | None:
    url = question.lead.linkedin_url
    return get("/linkedin", url=url) if url else None


def read(response: Response) -> Answer:
    """`data` is an object with or without an address, or an empty list; anything else is no answer."""
    data = dig(response.body, "data")
    if not isinstance(data, dict | list):
        return Problem(Remedy.NONSENSE, "no data in the answer")
    return hit_or_miss(dig(data, "email"), percent_at(data, "score"))


def problem(response: Response) -> Problem | None:
    if response.status == 429:
        return Problem(Remedy.RATE_LIMITED, "HTTP 429", told_to_wait(response) or told_to_reset(response))
    if response.status == 202:
        return Problem(Remedy.RATE_LIMITED, "HTTP 202: not ready yet", 5.0)
    if response.status in ROUTING:
        return Problem(Remedy.NONSENSE, f"HTTP {response.status}: is the base URL right?")
    return by_status(response)


def sign(secrets: Secrets) -> Signature:
    return Signature({"X-Tomba-Key": secrets["TOMBA_API_KEY"], "X-Tomba-Secret": secrets["TOMBA_API_SECRET"]})


SPEC = ProviderSpec(
    name="tomba",
    role=Role.FINDER,
    base_url="https://api.tomba.io/v1",
    secrets=("TOMBA_API_KEY", "TOMBA_API_SECRET"),
    sign=sign,
    problem=problem,
    operations=(Operation("email-finder", by_name, read), Operation("linkedin", by_linkedin, read)),
)
