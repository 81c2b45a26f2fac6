"""Findymail: finder by name and domain, or by LinkedIn URL (app.findymail.com/docs)."""

from phase3_core.calls import Role
from resources.providers.answers import (
    Answer,
    Problem,
    Remedy,
    by_status_and_json,
    error_with_200,
    hit_or_miss,
)
from resources.providers.reading import dig, text_at
from resources.providers.request import Question, Request, post
from resources.providers.response import Response
from resources.providers.signing import Secrets, Signature
from resources.providers.spec import Operation, ProviderSpec


def by_name(question: Question) -> Request | None:
    lead = question.lead
    if not (lead.company_domain and lead.full_name):
        return None
    return post("/api/search/name", name=lead.full_name, domain=lead.company_domain)


def by_linkedin(question: Question) -> Request | None:
    url = question.lead.linkedin_url
    return post("/api/search/linkedin", linkedin_url=url) if url else None


def read(response: Response) -> Answer:
    """Not found is a contact without an address, a null contact or none at all, or a 404 in JSON."""
    if not isinstance(response.body, dict):
        return Problem(Remedy.NONSENSE, "the answer is no JSON object")
    return hit_or_miss(dig(response.body, "contact", "email"))


def problem(response: Response) -> Problem | None:
    """An `error` is an error with HTTP 200 too, as older documentation shows."""
    told = text_at(response.body, "error")
    if "credit" in told.lower():
        return Problem(Remedy.OUT_OF_CREDITS, told)
    if response.status == 423:
        return Problem(Remedy.OUT_OF_CREDITS, told or "the subscription is paused")
    return error_with_200(response) or by_status_and_json(response)


def sign(secrets: Secrets) -> Signature:
    """Without the Accept header a bad key may answer 403 in HTML."""
    return Signature(
        {"Authorization": f"Bearer {secrets['FINDYMAIL_API_KEY']}", "Accept": "application/json"}
    )


SPEC = ProviderSpec(
    name="findymail",
    role=Role.FINDER,
    base_url="https://app.findymail.com",
    secrets=("FINDYMAIL_API_KEY",),
    sign=sign,
    problem=problem,
    operations=(
        Operation("search-name", by_name, read, timeout_s=60.0),
        Operation("search-linkedin", by_linkedin, read, timeout_s=60.0),
    ),
)
