"""Apollo: company facts by domain (docs.apollo.io/reference/organization-enrichment)."""

from typing import Any

from phase3_core.calls import Facts, Miss, Role
from phase3_core.tiers import Topic
from resources.providers.answers import Answer, Problem, Remedy, by_status, error_with_200
from resources.providers.enrichers.apollo_packs import ORGANIZATIONS
from resources.providers.reading import dig, strings_at, text_at, whole_number_at
from resources.providers.request import Question, Request, get
from resources.providers.response import Response
from resources.providers.signing import key_in_header
from resources.providers.spec import Operation, ProviderSpec


def by_domain(question: Question) -> Request | None:
    domain = question.lead.company_domain
    return get("/organizations/enrich", domain=domain) if domain else None


def read(response: Response) -> Answer:
    """An unknown domain is an object without `organization`."""
    if not isinstance(response.body, dict):
        return Problem(Remedy.NONSENSE, "the answer is no JSON object")
    organization = dig(response.body, "organization")
    if not isinstance(organization, dict) or not organization:
        return Miss()
    return Facts(_fields(organization))


def _fields(organization: dict[str, Any]) -> dict[str, Any]:
    revenue = text_at(organization, "annual_revenue_printed")
    told = text_at(organization, "short_description") or text_at(organization, "seo_description")
    return {
        "company_description": told,
        "company_industry": text_at(organization, "industry"),
        "company_employee_count": whole_number_at(organization, "estimated_num_employees"),
        "company_revenue_range": f"{revenue} (estimated)" if revenue else "",
        "company_founded_year": whole_number_at(organization, "founded_year"),
        "company_tech_stack": strings_at(organization, "technology_names"),
        "company_keywords": strings_at(organization, "keywords"),
        "funding": _funding(organization),
    }


def _funding(organization: dict[str, Any]) -> dict[str, Any]:
    stage = text_at(organization, "latest_funding_stage")
    raised = text_at(organization, "total_funding_printed")
    round_date = text_at(organization, "latest_funding_round_date")[:10]
    return {"stage": stage, "total": raised, "last_round": round_date} if stage or raised else {}


def problem(response: Response) -> Problem | None:
    """A 401 is plain text; out of credits is a 422 that says so; keys may be for some endpoints only."""
    told = text_at(response.body, "error") or text_at(response.body, "error_message")
    if text_at(response.body, "error_code") == "API_INACCESSIBLE":
        return Problem(Remedy.NOT_IN_PLAN, told)
    if response.status == 422 and "credit" in told.lower():
        return Problem(Remedy.OUT_OF_CREDITS, told)
    if text_at(response.body, "status") == "failed":  # a pack
        return Problem(Remedy.BAD_INPUT, told)
    return error_with_200(response) or by_status(response)


SPEC = ProviderSpec(
    name="apollo",
    role=Role.ENRICHER,
    base_url="https://api.apollo.io/api/v1",
    secrets=("APOLLO_API_KEY",),
    sign=key_in_header("x-api-key", "APOLLO_API_KEY"),
    problem=problem,
    operations=(Operation("organizations-enrich", by_domain, read, pack=ORGANIZATIONS),),
    topics=frozenset({Topic.COMPANY, Topic.FUNDING, Topic.TECH_STACK, Topic.WEBSITE}),
    per_company=True,
)
