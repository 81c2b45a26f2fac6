"""Brave Search: its own index, by default (api-dashboard.search.brave.com/documentation)."""

from typing import Any

from resources.providers.answers import Problem, Remedy, by_status_and_json
from resources.providers.enrichers.articles import article
from resources.providers.enrichers.searches import Search
from resources.providers.enrichers.web_search import KEY, Found, SearchSource
from resources.providers.reading import dig, items_at, strings_at, text_at
from resources.providers.request import Question, Request, get
from resources.providers.response import Response, told_to_reset
from resources.providers.signing import Secrets, Signature

FRESHNESS = {"month": "pm", "year": "py"}


def ask(search: Search, question: Question) -> Request:
    query = {"q": search.about(question.lead), "count": "10"}
    if search.since:
        query["freshness"] = FRESHNESS[search.since]
    return get("/news/search" if search.news else "/web/search", **query)


def found(response: Response) -> Found:
    """News lie at the top, pages under `web`, which is left out when there is none."""
    kind = text_at(response.body, "type")
    where = {"news": ("results",), "search": ("web", "results")}.get(kind)
    if where is None or not isinstance(dig(response.body, *where), list | None):
        return Problem(Remedy.NONSENSE, "the answer is no list of results")
    return [_article(item) for item in items_at(response.body, *where)]


def _article(item: dict[str, Any]) -> dict[str, Any]:
    return article(
        text_at(item, "title"),
        text_at(item, "url"),
        published=text_at(item, "page_age"),
        said=text_at(item, "age"),
        source=text_at(item, "meta_url", "hostname"),
    )


def problem(response: Response) -> Problem | None:
    """A bad key is a 422, a month that is used up a 429; only successful calls are billed."""
    error = dig(response.body, "error") or dig(response.body, "errors", 0)
    code = text_at(error, "code")
    if code == "SUBSCRIPTION_TOKEN_INVALID" or (code == "VALIDATION" and _about_key(error)):
        return Problem(Remedy.BAD_KEY, code)
    if code == "QUOTA_LIMITED" or (response.status == 429 and _month_is_used_up(response)):
        return Problem(Remedy.OUT_OF_CREDITS, code or "HTTP 429")
    if response.status == 429 or response.status >= 500:
        return Problem(Remedy.RATE_LIMITED, f"HTTP {response.status}", told_to_reset(response))
    return by_status_and_json(response)


def _about_key(error: Any) -> bool:
    places = (place for one in items_at(error, "meta", "errors") for place in strings_at(one, "loc"))
    return any("token" in place.lower() for place in places)


def _month_is_used_up(response: Response) -> bool:
    """The last window of the headers is the month; a limit of 0 means that there is none."""
    told = (response.headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining"))
    limit, left = (windows.rpartition(",")[2].strip() for windows in told)
    return limit.isdecimal() and limit.strip("0") != "" and left == "0"


def sign(secrets: Secrets) -> Signature:
    return Signature({"X-Subscription-Token": secrets[KEY], "Accept": "application/json"})


SPECS = SearchSource("brave", "https://api.search.brave.com/res/v1", ask, found, sign, problem).specs()
