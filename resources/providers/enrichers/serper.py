"""Serper: Google's results, the cheapest (serper.dev)."""

from decimal import Decimal
from typing import Any

from resources.providers.answers import Problem, Remedy, by_status_and_json
from resources.providers.enrichers.articles import article
from resources.providers.enrichers.searches import Search
from resources.providers.enrichers.web_search import KEY, Found, SearchSource
from resources.providers.reading import credits_of, dig, items_at, text_at
from resources.providers.request import Question, Request, post
from resources.providers.response import Response
from resources.providers.signing import Secrets, Signature

WITHIN = {"month": "qdr:m", "year": "qdr:y"}


def ask(search: Search, question: Question) -> Request:
    """More than ten results would take two credits."""
    within = {"tbs": WITHIN[search.since]} if search.since else {}
    return post("/news" if search.news else "/search", q=search.about(question.lead), num=10, **within)


def found(response: Response) -> Found:
    """A real answer repeats what was asked; the list is left out when nothing was found."""
    where = "news" if text_at(response.body, "searchParameters", "type") == "news" else "organic"
    listed = dig(response.body, where)
    asked_back = isinstance(dig(response.body, "searchParameters"), dict)
    if not (isinstance(listed, list) or (listed is None and asked_back)):
        return Problem(Remedy.NONSENSE, "no results in the answer")
    return [_article(item) for item in items_at(response.body, where)]


def _article(item: dict[str, Any]) -> dict[str, Any]:
    """Dates are relative text mostly ("2 weeks ago"): the day of the answer says what they mean."""
    return article(
        text_at(item, "title"),
        text_at(item, "link"),
        published=text_at(item, "date"),
        source=text_at(item, "source"),
    )


def problem(response: Response) -> Problem | None:
    """Out of credits is a 400 like bad input: its words decide."""
    told = text_at(response.body, "message")
    if response.status == 400 and "credit" in told.lower():
        return Problem(Remedy.OUT_OF_CREDITS, told)
    return by_status_and_json(response)


def credits_told(response: Response) -> Decimal | None:
    return credits_of(dig(response.body, "credits"))


def sign(secrets: Secrets) -> Signature:
    return Signature({"X-API-KEY": secrets[KEY]})


SPECS = SearchSource("serper", "https://google.serper.dev", ask, found, sign, problem, credits_told).specs()
