"""Serper: Google's links. Wrong key 403, no credits 400, both told by their words."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sandbox.limits import Pressure
from sandbox.search import Found, SearchVendor, number, results
from sandbox.vendor import Operation
from sandbox.wire import Ask, Reply, answer, word

SINGLE_CREDIT_RESULTS = 10


class Serper(SearchVendor):
    """Key in a header; an array of questions is a batch."""

    name = "serper"

    def operations(self) -> Sequence[Operation]:
        """Search and news."""
        return (
            Operation("search", "POST", "search", _query, self.search),
            Operation("news", "POST", "news", _query, self.news),
        )

    def search(self, ask: Ask, _question: str) -> Reply:
        """Organic results."""
        return self.answered(ask, "search", "organic")

    def news(self, ask: Ask, _question: str) -> Reply:
        """News results."""
        return self.answered(ask, "news", "news")

    def answered(self, ask: Ask, kind: str, key: str) -> Reply:
        """One page for each question; more than ten results cost two credits."""
        questions = [one for one in _questions(ask) if word(one.get("q"))]
        if not questions:
            return answer({"message": "Missing query parameter", "statusCode": 400}, 400)
        if not self.account.covers(Decimal(sum(map(_cost, questions)))):
            return self.out_of_credits()
        pages = [self.page(one, kind, key) for one in questions]
        return answer(pages if isinstance(ask.document, list) else pages[0])

    def page(self, asked: dict[str, Any], kind: str, key: str) -> dict[str, Any]:
        """The results of one question, billed."""
        query, cost = word(asked["q"]), _cost(asked)
        self.sell(kind, query.lower(), hit=False, billed=True, credits_used=Decimal(cost))
        limit = number(asked.get("num"), SINGLE_CREDIT_RESULTS, 100)
        found = results(self.world, query, news_only=kind == "news")[:limit]
        self.account.hits += bool(found)
        rows = [_row(one, place, kind) for place, one in enumerate(found, start=1)]
        parameters = {"q": query, "type": kind, "engine": "google"}
        return {"searchParameters": parameters, key: rows, "credits": cost}

    def authorised(self, ask: Ask) -> bool:
        """Header."""
        return ask.headers.get("X-API-KEY") == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """403."""
        return answer({"message": "Unauthorized.", "statusCode": 403}, 403)

    def out_of_credits(self) -> Reply:
        """400."""
        return answer({"message": "Not enough credits", "statusCode": 400}, 400)

    def rate_limited(self, _pressure: Pressure) -> Reply:
        """429 and nothing else."""
        return answer({"message": "Too many requests", "statusCode": 429}, 429)

    def failed(self) -> Reply:
        """500."""
        return answer({"message": "Internal server error", "statusCode": 500}, 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        code = 405 if path_known else 404
        return answer({"message": "Not found", "statusCode": code}, code)


def _questions(ask: Ask) -> list[dict[str, Any]]:
    given = ask.document if isinstance(ask.document, list) else [ask.document]
    return [one for one in given if isinstance(one, dict)]


def _cost(asked: dict[str, Any]) -> int:
    return 2 if number(asked.get("num"), SINGLE_CREDIT_RESULTS, 100) > SINGLE_CREDIT_RESULTS else 1


def _query(ask: Ask) -> str:
    return "; ".join(word(one.get("q")).lower() for one in _questions(ask))


def _row(found: Found, place: int, kind: str) -> dict[str, Any]:
    row = {"title": found.title, "link": found.url, "snippet": found.snippet, "position": place}
    extra = {"date": "2 weeks ago", "source": "Robot Daily", "imageUrl": ""} if kind == "news" else {}
    return row | extra
