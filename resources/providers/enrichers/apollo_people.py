"""Apollo: a person at work, by address, profile or name (docs.apollo.io/reference/people-enrichment).

Personal addresses and phone numbers are never revealed.
"""

from typing import Any

from phase3_core.calls import Facts, Miss, Role
from phase3_core.tiers import Topic
from resources.providers.answers import Answer, Problem, Remedy
from resources.providers.enrichers import apollo
from resources.providers.enrichers.apollo_packs import PEOPLE
from resources.providers.enrichers.contact import contact
from resources.providers.reading import dig, items_at, strings_at, text_at
from resources.providers.request import Question, Request, post
from resources.providers.response import Response
from resources.providers.spec import Operation, ProviderSpec


def by_person(question: Question) -> Request | None:
    """In the body, so that the address stays out of access logs."""
    lead = question.lead
    named = bool(lead.first_name and lead.last_name and lead.company_domain)
    if not (named or lead.email or lead.linkedin_url):
        return None
    known = {
        "email": lead.email,
        "linkedin_url": lead.linkedin_url,
        "first_name": lead.first_name if named else "",
        "last_name": lead.last_name if named else "",
        "domain": lead.company_domain if named else "",
    }
    given = {name: value for name, value in known.items() if value}
    return post("/people/match", **given, reveal_personal_emails=False, reveal_phone_number=False)


def read(response: Response) -> Answer:
    """Nobody is null, nothing at all, or a stub without a name that only its employer fills."""
    if not isinstance(response.body, dict):
        return Problem(Remedy.NONSENSE, "the answer is no JSON object")
    person = dig(response.body, "person")
    if not isinstance(dig(person, "name"), str | None):
        return Problem(Remedy.NONSENSE, "the name is no text")
    stub = text_at(person, "match_confidence").lower() == "none"
    if stub or not isinstance(person, dict) or not text_at(person, "name"):
        return Miss()
    return Facts(_fields(person))


def _fields(person: dict[str, Any]) -> dict[str, Any]:
    return contact(
        title=text_at(person, "title"),
        linkedin_url=text_at(person, "linkedin_url"),
        seniority=text_at(person, "seniority"),
        departments=strings_at(person, "departments"),
        employment_history=map(_position, items_at(person, "employment_history")),
    )


def _position(row: dict[str, Any]) -> dict[str, str]:
    names = {"title": "title", "company": "organization_name", "from": "start_date", "to": "end_date"}
    return {ours: text_at(row, theirs) for ours, theirs in names.items()}


SPEC = ProviderSpec(
    name="apollo",
    role=Role.ENRICHER,
    base_url="https://api.apollo.io/api/v1",
    secrets=("APOLLO_API_KEY",),
    sign=apollo.SPEC.sign,
    problem=apollo.problem,
    operations=(Operation("people-match", by_person, read, pack=PEOPLE),),
    topics=frozenset({Topic.CONTACT}),
    question="people",
)
