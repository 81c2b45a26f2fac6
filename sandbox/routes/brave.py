"""Brave Search: web and news. A bad key is a 422; only successful calls are billed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandbox.limits import Pressure, Quota
from sandbox.search import Found, SearchVendor, number, results
from sandbox.vendor import Operation
from sandbox.wire import NOTHING, Ask, Reply, answer

QUERY_LIMIT = 400
MONTH_S = 2_592_000


class Brave(SearchVendor):
    """Token in its own header, limits comma-paired per window."""

    name = "brave"
    base = "/res/v1"
    quotas: ClassVar[Mapping[str, Quota]] = {"default": Quota(per_second=50)}
    variants = frozenset(("errors_list", "no_web_key"))

    def operations(self) -> Sequence[Operation]:
        """Web and news."""
        return (
            Operation("news", "GET", "res/v1/news/search", _query, self.news),
            Operation("web", "GET", "res/v1/web/search", _query, self.web),
        )

    def news(self, ask: Ask, question: str) -> Reply:
        """Up to 50."""
        refusal = self.refused(ask, "news", question)
        if refusal is not None:
            return refusal
        found = results(self.world, question, news_only=True)[: number(ask.param("count"), 20, 50)]
        self.account.hits += bool(found)
        return answer(
            {"type": "news", "query": {"original": ask.param("q")}, "results": [_news(one) for one in found]}
        )

    def web(self, ask: Ask, question: str) -> Reply:
        """Up to 20."""
        refusal = self.refused(ask, "web", question)
        if refusal is not None:
            return refusal
        found = results(self.world, question, news_only=False)[: number(ask.param("count"), 20, 20)]
        self.account.hits += bool(found)
        page: dict[str, Any] = {
            "type": "search",
            "query": {"original": ask.param("q"), "more_results_available": False},
        }
        if found or "no_web_key" not in self.on:
            page["web"] = {"type": "search", "results": [_page(one) for one in found]}
        return answer(page)

    def refused(self, ask: Ask, operation: str, question: str) -> Reply | None:
        """Bad input costs nothing; anything else is one search."""
        if not 0 < len(ask.param("q")) <= QUERY_LIMIT:
            return self.invalid("query", "q")
        if not self.sell(operation, question, hit=False, billed=True):
            return self.out_of_credits()
        return None

    def authorised(self, ask: Ask) -> bool:
        """Header."""
        return ask.headers.get("X-Subscription-Token") == self.account.key

    def unauthorised(self, ask: Ask) -> Reply:
        """422: one code for a wrong key, another for none."""
        if "X-Subscription-Token" in ask.headers:
            return self.error(
                422, "SUBSCRIPTION_TOKEN_INVALID", "The provided subscription token is invalid.", {}
            )
        return self.invalid("header", "x-subscription-token")

    def invalid(self, place: str, field: str) -> Reply:
        """422 with the place of the mistake."""
        where = {
            "errors": [{"type": "missing", "loc": [place, field], "msg": "Field required", "input": None}]
        }
        return self.error(422, "VALIDATION", "Unable to validate request parameter(s)", where)

    def out_of_credits(self) -> Reply:
        """429, told from the rate only by code and remaining."""
        meta = {"plan": "Base", "rate_limit": 50, "rate_current": 1, "quota_limit": 1, "quota_current": 1}
        reply = self.error(429, "QUOTA_LIMITED", "Request rate limit exceeded for plan.", meta)
        reply.headers = {"X-RateLimit-Remaining": "49, 0"}
        return reply

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 without Retry-After."""
        meta = {
            "plan": "Base",
            "rate_limit": pressure.limit,
            "rate_current": pressure.limit,
            "quota_limit": 0,
            "quota_current": int(self.account.used),
        }
        reply = self.error(429, "RATE_LIMITED", "Request rate limit exceeded for plan.", meta)
        reply.headers = self.headers(pressure)
        return reply

    def failed(self) -> Reply:
        """500."""
        return self.error(500, "INTERNAL", "Internal server error", {})

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return self.error(405 if path_known else 404, "RESOURCE_NOT_FOUND", "No such resource.", {})

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """Second and month; a month of 0 is without limit."""
        if pressure is None:
            return NOTHING
        return {
            "X-RateLimit-Limit": f"{pressure.limit}, 0",
            "X-RateLimit-Policy": f"{pressure.limit};w=1, 0;w={MONTH_S}",
            "X-RateLimit-Remaining": f"{pressure.remaining}, 0",
            "X-RateLimit-Reset": f"{pressure.wait_s}, {MONTH_S}",
        }

    def error(self, status: int, code: str, words: str, meta: Mapping[str, Any]) -> Reply:
        """One error, or a list of one as the examples show."""
        one = {"id": "e7f3", "status": status, "code": code, "detail": words, "meta": meta}
        body = {"errors": [one]} if "errors_list" in self.on else {"error": one}
        return answer({"type": "ErrorResponse", **body, "time": 0}, status)


def _query(ask: Ask) -> str:
    return ask.param("q").lower()


def _news(found: Found) -> dict[str, Any]:
    return {
        "type": "news_result",
        "title": found.title,
        "url": found.url,
        "description": found.snippet,
        "age": "3 weeks ago",
        "page_age": f"{found.published}T09:00:00",
        "meta_url": {"hostname": found.host},
        "thumbnail": {"src": ""},
    }


def _page(found: Found) -> dict[str, Any]:
    return {
        "title": found.title,
        "url": found.url,
        "description": found.snippet,
        "age": found.published,
        "page_age": f"{found.published}T09:00:00",
        "language": "en",
        "extra_snippets": [],
        "meta_url": {"hostname": found.host},
    }
