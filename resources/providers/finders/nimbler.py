"""Nimbler: finder by LinkedIn URL, or by name and company name. Unconfirmed: no vendor page could be read."""

from decimal import Decimal

from phase3_core.calls import Role
from resources.providers.answers import Answer, Problem, Remedy, hit_or_miss, undescribed
from resources.providers.reading import dig
from resources.providers.request import Question, Request, post
from resources.providers.response import Response
from resources.providers.signing import key_in_header
from resources.providers.spec import Operation, ProviderSpec


def by_linkedin(question: Question) -> Request | None:
    url = question.lead.linkedin_url
    return post("/append/contact", linkedinUrl=url) if url else None


def by_name(question: Question) -> Request | None:
    """The company by its name: no seed for a domain is known."""
    lead = question.lead
    if not (lead.first_name and lead.last_name and lead.company_name):
        return None
    return post(
        "/append/contact", firstName=lead.first_name, lastName=lead.last_name, company=lead.company_name
    )


def read(response: Response) -> Answer:
    """The work address alone: a personal one is never taken in its place."""
    if not isinstance(response.body, dict):
        return Problem(Remedy.NONSENSE, "the answer is no JSON object")
    return hit_or_miss(dig(response.body, "contactEmail"))


def shown(response: Response) -> Decimal:
    """A credit for a record, whatever is in it of the person: no source says that one without is free."""
    record = response.body if isinstance(response.body, dict) else {}
    return Decimal(any(value for name, value in record.items() if name.startswith("contact")))


SPEC = ProviderSpec(
    name="nimbler",
    role=Role.FINDER,
    base_url="https://api.nimbler.com/api/v1",
    secrets=("NIMBLER_API_KEY",),
    sign=key_in_header("Authorization", "NIMBLER_API_KEY", "Bearer"),
    problem=undescribed,
    operations=(
        Operation("append-linkedin", by_linkedin, read, credits=shown),
        Operation("append-name", by_name, read, credits=shown),
    ),
)
