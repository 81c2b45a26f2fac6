"""The Messages API with its web search tool: searches are billed, tokens counted but free here."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandbox.limits import Pressure, Quota
from sandbox.search import Found, SearchVendor, results
from sandbox.vendor import Operation
from sandbox.wire import Ask, Reply, answer

TOKENS_PER_RESULT = 2_500
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
TOOL_ERRORS = ("too_many_requests", "max_uses_exceeded", "query_too_long", "unavailable")


class Claude(SearchVendor):
    """Key and version in headers; a failed search is a block inside a 200."""

    name = "claude"
    quotas: ClassVar[Mapping[str, Quota]] = {"default": Quota(per_minute=1_000)}
    variants = frozenset((*TOOL_ERRORS, "pause_turn", "overloaded_529", "credit_400"))

    def operations(self) -> Sequence[Operation]:
        """Messages."""
        return (Operation("search", "POST", "v1/messages", _query, self.messages),)

    def messages(self, ask: Ask, question: str) -> Reply:
        """One search per call; on a paused turn the client sends everything again."""
        if "anthropic-version" not in ask.headers:
            return _error(400, "anthropic-version: header is required")
        if not question or not ask.word("model") or not isinstance(ask.data.get("max_tokens"), int):
            return _error(400, "model, max_tokens and messages are required")
        unbilled = self.without_search(ask, question)
        if unbilled is not None:
            return answer(unbilled)
        if not self.sell("search", question, hit=False, billed=True):
            return self.out_of_credits()
        found = results(self.world, question, news_only=False)
        self.account.hits += bool(found)
        return answer(_message(ask, _search(question, found), "end_turn", 1))

    def without_search(self, ask: Ask, question: str) -> dict[str, Any] | None:
        """A message for which nothing was searched: no tool, a tool that failed, a paused turn."""
        if not _searches(ask):
            return _message(ask, [{"type": "text", "text": "I cannot search."}], "end_turn", 0)
        failure = next((code for code in TOOL_ERRORS if code in self.on), None)
        if failure is not None:
            return _message(ask, _failed_search(question, failure), "end_turn", 0)
        if "pause_turn" in self.on and not _resumed(ask):
            return _message(ask, [_use(question)], "pause_turn", 0)
        return None

    def authorised(self, ask: Ask) -> bool:
        """Header."""
        return ask.headers.get("x-api-key") == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """401."""
        return _error(401, "invalid x-api-key")

    def blocked(self, _ask: Ask) -> Reply:
        """403."""
        return _error(403, "Your organization may not use this resource.")

    def out_of_credits(self) -> Reply:
        """402, or a 400 about the credit balance."""
        return _error(
            400 if "credit_400" in self.on else 402, "Your credit balance is too low to access the API."
        )

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 with seconds to wait."""
        reply = _error(429, "This request would exceed your rate limit.")
        reply.headers = {
            "retry-after": str(pressure.wait_s),
            "x-should-retry": "true",
            **self.headers(pressure),
        }
        return reply

    def failed(self) -> Reply:
        """500, or overloaded."""
        return (
            _error(529, "Overloaded") if "overloaded_529" in self.on else _error(500, "Internal server error")
        )

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return _error(405 if path_known else 404, "Not found")

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """Requests of the minute."""
        if pressure is None:
            return {}
        return {
            "anthropic-ratelimit-requests-limit": str(pressure.limit),
            "anthropic-ratelimit-requests-remaining": str(pressure.remaining),
        }


def _error(code: int, words: str) -> Reply:
    return answer(
        {"type": "error", "error": {"type": TYPES[code], "message": words}, "request_id": "req_0"}, code
    )


def _messages(ask: Ask) -> list[dict[str, Any]]:
    given = ask.data.get("messages")
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _query(ask: Ask) -> str:
    """The user's first words."""
    said = next((one.get("content") for one in _messages(ask) if one.get("role") == "user"), "")
    blocks = said if isinstance(said, list) else [{"text": said}]
    return " ".join(str(one.get("text", "")) for one in blocks if isinstance(one, dict)).strip().lower()


def _resumed(ask: Ask) -> bool:
    return any(one.get("role") == "assistant" for one in _messages(ask))


def _searches(ask: Ask) -> bool:
    tools = ask.data.get("tools")
    given = tools if isinstance(tools, list) else []
    return any(isinstance(one, dict) and str(one.get("type", "")).startswith("web_search_") for one in given)


def _use(query: str) -> dict[str, Any]:
    return {"type": "server_tool_use", "id": "srvtoolu_01", "name": "web_search", "input": {"query": query}}


def _result(content: Any) -> dict[str, Any]:
    return {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_01", "content": content}


def _failed_search(query: str, code: str) -> list[dict[str, Any]]:
    error = {"type": "web_search_tool_result_error", "error_code": code}
    return [_use(query), _result(error), {"type": "text", "text": "The search failed."}]


def _search(query: str, found: list[Found]) -> list[dict[str, Any]]:
    pages = [
        {
            "type": "web_search_result",
            "url": one.url,
            "title": one.title,
            "page_age": None,
            "encrypted_content": "EqgB",
        }
        for one in found
    ]
    told = [{"type": "text", "text": one.title, "citations": [_citation(one)]} for one in found]
    return [_use(query), _result(pages), *(told or [{"type": "text", "text": "Nothing was found."}])]


def _citation(found: Found) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "url": found.url,
        "title": found.title,
        "cited_text": found.snippet,
        "encrypted_index": "Eo8B",
    }


def _message(ask: Ask, content: list[dict[str, Any]], reason: str, searches: int) -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": ask.word("model"),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 200 + TOKENS_PER_RESULT * searches,
            "output_tokens": 120,
            "server_tool_use": {"web_search_requests": searches},
        },
    }
