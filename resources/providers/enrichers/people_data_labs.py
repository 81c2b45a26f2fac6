"""People Data Labs: company facts by domain, a second opinion (docs.peopledatalabs.com)."""

from decimal import Decimal

from phase3_core.calls import Facts, Miss, Role
from phase3_core.tiers import Topic
from resources.providers.answers import Answer, Problem, Remedy, by_status_and_json
from resources.providers.enrichers.people_data_labs_answer import fields, is_wanted
from resources.providers.reading import credits_of, text_at
from resources.providers.request import Question, Request, get
from resources.providers.response import Response, told_to_reset
from resources.providers.signing import Secrets, Signature
from resources.providers.spec import Operation, ProviderSpec


def by_domain(question: Question) -> Request | None:
    domain = question.lead.company_domain
    return get("/v5/company/enrich", website=domain, titlecase="true") if domain else None


def read(response: Response) -> Answer:
    company = response.body
    if response.status == 404:
        return Miss()
    if not isinstance(company, dict) or not text_at(company, "id"):
        return Problem(Remedy.NONSENSE, "the answer is no company")
    return Facts(fields(company)) if is_wanted(company, response.request) else Miss("another company")


def problem(response: Response) -> Problem | None:
    if response.status == 404 and text_at(response.body, "error", "type") == "not_found":
        return None
    if response.status == 429:
        return Problem(Remedy.RATE_LIMITED, "HTTP 429", told_to_reset(response))
    return by_status_and_json(response)


def credits_told(response: Response) -> Decimal | None:
    """Of the record's own pool; without the header a match costs one and nothing found costs nothing."""
    told = credits_of(response.headers.get("x-call-credits-spent"))
    return Decimal(0) if told is None and response.status == 404 else told


def sign(secrets: Secrets) -> Signature:
    return Signature({"X-Api-Key": secrets["PEOPLE_DATA_LABS_API_KEY"]})


SPEC = ProviderSpec(
    name="people_data_labs",
    role=Role.ENRICHER,
    base_url="https://api.peopledatalabs.com",
    secrets=("PEOPLE_DATA_LABS_API_KEY",),
    sign=sign,
    problem=problem,
    operations=(Operation("company-enrich", by_domain, read, credits=credits_told),),
    topics=frozenset({Topic.COMPANY, Topic.WEBSITE}),
    per_company=True,
)
