"""Tavily: results as cleaned text (docs.tavily.com)."""

from decimal import Decimal

from resources.providers.answers import Problem, Remedy, by_status_and_json
from resources.providers.enrichers.articles import article
from resources.providers.enrichers.searches import Search
from resources.providers.enrichers.web_search import KEY, Found, SearchSource
from resources.providers.reading import credits_of, dig, items_at, text_at
from resources.providers.request import Question, Request, post
from resources.providers.response import Response
from resources.providers.signing import Secrets, Signature


def ask(search: Search, question: Question) -> Request:
    """Basic depth takes one credit, advanced two."""
    asked = {
        "query": search.about(question.lead),
        "topic": "news" if search.news else "general",
        "search_depth": "basic",
        "max_results": 10,
        "include_usage": True,
    }
    return post("/search", **asked, **({"time_range": search.since} if search.since else {}))


def found(response: Response) -> Found:
    if not isinstance(dig(response.body, "results"), list):
        return Problem(Remedy.NONSENSE, "no results in the answer")
    return [
        article(text_at(item, "title"), text_at(item, "url"), published=text_at(item, "published_date"))
        for item in items_at(response.body, "results")
    ]


def problem(response: Response) -> Problem | None:
    """432 and 433 are the limits of the plan and of paying as one goes."""
    if response.status in {432, 433}:
        told = text_at(response.body, "detail", "error")
        return Problem(Remedy.OUT_OF_CREDITS, told or f"HTTP {response.status}")
    return by_status_and_json(response)


def credits_told(response: Response) -> Decimal | None:
    return credits_of(dig(response.body, "usage", "credits"))


def sign(secrets: Secrets) -> Signature:
    return Signature({"Authorization": f"Bearer {secrets[KEY]}"})


SPECS = SearchSource("tavily", "https://api.tavily.com", ask, found, sign, problem, credits_told).specs()
