"""Tavily: search with cleaned text, usage. Plan limits have status codes of their own."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from sandbox.limits import Pressure, Quota
from sandbox.search import Found, SearchVendor, number, results
from sandbox.vendor import Operation
from sandbox.wire import Ask, Reply, answer


class Tavily(SearchVendor):
    """Bearer key; an advanced search costs two credits."""

    name = "tavily"
    quotas: ClassVar[Mapping[str, Quota]] = {"default": Quota(per_minute=1_000)}
    variants = frozenset(("payg_433",))

    def operations(self) -> Sequence[Operation]:
        """Search and usage."""
        return (
            Operation("search", "POST", "search", _query, self.search),
            Operation("usage", "GET", "usage", lambda _: "", self.usage),
        )

    def search(self, ask: Ask, question: str) -> Reply:
        """Up to 20, dated only for the news."""
        if not question:
            return _error(400, "query is required")
        cost = 2 if ask.word("search_depth") == "advanced" else 1
        if not self.sell("search", question, hit=False, billed=True, credits_used=Decimal(cost)):
            return self.out_of_credits()
        news = ask.word("topic") == "news"
        found = results(self.world, question, news_only=news)[: number(ask.data.get("max_results"), 5, 20)]
        self.account.hits += bool(found)
        return answer(
            {
                "query": ask.word("query"),
                "answer": None,
                "images": [],
                "results": [_row(one, dated=news) for one in found],
                "response_time": 0.1,
                "usage": {"credits": cost},
                "request_id": f"tv{len(self.bill.charges)}",
            },
        )

    def usage(self, _ask: Ask, _question: str) -> Reply:
        """Key and plan."""
        used = int(self.account.used)
        limit = used + int(self.account.left)
        account = {"current_plan": "growth", "plan_usage": used, "plan_limit": limit}
        return answer({"key": {"usage": used, "limit": limit}, "account": account})

    def authorised(self, ask: Ask) -> bool:
        """Bearer token."""
        return ask.bearer == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """401."""
        return _error(401, "Unauthorized: missing or invalid API key.")

    def blocked(self, _ask: Ask) -> Reply:
        """403."""
        return _error(403, "Forbidden.")

    def out_of_credits(self) -> Reply:
        """432 for the plan, 433 for pay-as-you-go."""
        code = 433 if "payg_433" in self.on else 432
        return _error(code, "This request exceeds your plan's set usage limit.")

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429."""
        reply = _error(429, "Your request has been blocked due to excessive requests.")
        reply.headers = {"retry-after": str(pressure.wait_s)}
        return reply

    def failed(self) -> Reply:
        """500."""
        return _error(500, "Internal server error.")

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return _error(405 if path_known else 404, "Not found.")


def _error(code: int, words: str) -> Reply:
    return answer({"detail": {"error": words}}, code)


def _query(ask: Ask) -> str:
    return ask.word("query").lower()


def _row(found: Found, *, dated: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"title": found.title, "url": found.url, "content": found.snippet, "score": 0.81}
    row["raw_content"] = None
    return row | {"published_date": f"{found.published}T09:00:00Z"} if dated else row
