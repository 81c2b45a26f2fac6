"""BuiltWith: the technologies of a company's website (api.builtwith.com/domain-api)."""

from typing import Any

from phase3_core.calls import Facts, Miss, Role
from phase3_core.tiers import Topic
from resources.providers.answers import Answer, Problem, Remedy, by_status
from resources.providers.reading import dig, text_at, whole_number_at
from resources.providers.request import Question, Request, get
from resources.providers.response import Response
from resources.providers.signing import key_in_header
from resources.providers.spec import Operation, ProviderSpec

MOST_TECHNOLOGIES = 100
REMEDIES = {
    -2: Remedy.BAD_KEY,
    -3: Remedy.OUT_OF_CREDITS,
    -5: Remedy.OUT_OF_CREDITS,
}
UNKNOWN_DOMAIN = -8  # ignored, or none: looked up and billed all the same


def by_domain(question: Question) -> Request | None:
    domain = question.lead.company_domain
    query = {"LOOKUP": domain, "LIVEONLY": "yes", "NOPII": "yes", "HIDETEXT": "yes", "HIDEDL": "yes"}
    return get("/v23/api.json", **query) if domain else None


def read(response: Response) -> Answer:
    """Zero technologies are a miss: a parked domain has no status of its own."""
    if _error(response) == UNKNOWN_DOMAIN:
        return Miss("unknown to BuiltWith")
    results = dig(response.body, "Results")
    if not isinstance(results, list):
        return Problem(Remedy.NONSENSE, "no Results in the answer")
    names = _technologies(dig(results, 0, "Result", "Paths"))
    return Facts({"company_tech_stack": names}) if names else Miss()


def _technologies(paths: Any) -> list[str]:
    """Distinct names in order: the same technology repeats over paths and subdomains."""
    found: dict[str, None] = {}
    for path in paths if isinstance(paths, list) else []:
        technologies = dig(path, "Technologies")
        for technology in technologies if isinstance(technologies, list) else []:
            if name := text_at(technology, "Name"):
                found[name] = None
    return list(found)[:MOST_TECHNOLOGIES]


def _error(response: Response) -> int | None:
    """The code of the first; 0 where it has none, None where there is no error."""
    if dig(response.body, "Errors", 0) is None:
        return None
    return whole_number_at(response.body, "Errors", 0, "Code") or 0


def problem(response: Response) -> Problem | None:
    """Most failures come with HTTP 200 and a filled list `Errors`; a 429 tells seconds in its body."""
    if response.status == 429:
        wait = whole_number_at(response.body, "retryAfterSeconds")
        return Problem(Remedy.RATE_LIMITED, "HTTP 429", max(0.0, wait) if wait else None)
    code = _error(response)
    if code is not None and code != UNKNOWN_DOMAIN:
        return Problem(REMEDIES.get(code, Remedy.DOWN), f"error {code}")
    return by_status(response)


SPEC = ProviderSpec(
    name="builtwith",
    role=Role.ENRICHER,
    base_url="https://api.builtwith.com",
    secrets=("BUILTWITH_API_KEY",),
    sign=key_in_header("Authorization", "BUILTWITH_API_KEY", "API"),  # not in the URL
    problem=problem,
    operations=(Operation("domain", by_domain, read, timeout_s=60.0),),
    topics=frozenset({Topic.TECH_STACK}),
    per_company=True,
)
