"""The company's own website: free, guarded, read for facts (see `resources.web`)."""

from typing import Any

from phase3_core.calls import Facts, Miss, Role
from phase3_core.tiers import Topic
from resources.providers.answers import Answer, Problem, Remedy
from resources.providers.reading import dig, text_at, whole_number_at
from resources.providers.request import Question, Request, get
from resources.providers.response import Response
from resources.providers.spec import Operation, ProviderSpec


def by_domain(question: Question) -> Request | None:
    domain = question.lead.company_domain
    return get(domain) if domain else None


def read(response: Response) -> Answer:
    """The fetcher's outcome: one site that is down is a fact about that site, no breakdown of a provider."""
    outcome = text_at(response.body, "outcome")
    if not outcome:
        return Problem(Remedy.NONSENSE, "no outcome")
    facts = dig(response.body, "facts")
    fields = _fields(facts) if isinstance(facts, dict) else {}
    return Facts(fields) if fields else Miss(outcome)


def _fields(facts: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "company_description": text_at(facts, "description", "value"),
        "company_founded_year": whole_number_at(facts, "founded_year", "value"),
        "company_employee_count": whole_number_at(facts, "employee_count", "value", 0),
        "company_keywords": _values(facts, "keywords"),
        "social_profiles": _values(facts, "social_profiles"),
        "phones": _values(facts, "phones"),
        "hiring": _values(facts, "hiring_links"),
    }
    return {name: value for name, value in fields.items() if value}


def _values(facts: dict[str, Any], name: str) -> list[str]:
    found = dig(facts, name)
    texts = [text_at(fact, "value") for fact in found] if isinstance(found, list) else []
    return [text for text in texts if text]


SPEC = ProviderSpec(
    name="website",
    role=Role.ENRICHER,
    base_url="",
    operations=(Operation("fetch", by_domain, read, timeout_s=60.0),),
    topics=frozenset({Topic.WEBSITE, Topic.HIRING}),
    per_company=True,
)
