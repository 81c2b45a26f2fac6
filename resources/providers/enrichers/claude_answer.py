"""What Claude's searches found: addresses from its citations, else from the results, never its own words."""

import json
from decimal import Decimal
from typing import Any

from resources.providers.answers import Pending, Problem, Remedy
from resources.providers.enrichers.articles import Article, article
from resources.providers.enrichers.web_search import Found
from resources.providers.reading import credits_of, dig, items_at, text_at
from resources.providers.response import Response

BAD_INPUT = {"invalid_tool_input", "query_too_long", "request_too_large"}


def found(response: Response) -> Found:
    """A search that failed is no HTTP error, and not billed: an object stands where the results would."""
    blocks = items_at(response.body, "content")
    results = [one for one in blocks if text_at(one, "type") == "web_search_tool_result"]
    lists = [one for one in results if isinstance(one.get("content"), list)]
    if lists:
        return _cited(blocks, [item for one in lists for item in items_at(one, "content")])
    if results:
        code = text_at(results[0], "content", "error_code")
        return Problem(Remedy.BAD_INPUT if code in BAD_INPUT else Remedy.RATE_LIMITED, code)
    return _unfinished(response)


def _cited(blocks: list[dict[str, Any]], results: list[dict[str, Any]]) -> list[Article]:
    cited = {text_at(note, "url") for block in blocks for note in items_at(block, "citations")}
    chosen = [item for item in results if text_at(item, "url") in cited] or results
    return [
        article(text_at(item, "title"), text_at(item, "url"), published=text_at(item, "page_age"))
        for item in chosen
    ]


def searches_told(response: Response) -> Decimal | None:
    return credits_of(dig(response.body, "usage", "server_tool_use", "web_search_requests"))


def _unfinished(response: Response) -> Problem | Pending:
    """A pause is answered by sending all that was said so far; what did not search is no answer.

    To ask on after a search that was billed would have another one billed.
    """
    if searches_told(response):
        return Problem(Remedy.NONSENSE, "a search was made and its results are missing")
    why, content = text_at(response.body, "stop_reason"), dig(response.body, "content")
    body = response.request.body if response.request else None
    if why != "pause_turn" or not isinstance(body, dict) or not isinstance(content, list):
        return Problem(Remedy.NONSENSE, f"no search was made: {why or 'no message'}")
    said = [*body["messages"], {"role": "assistant", "content": content}]
    return Pending(json.dumps({**body, "messages": said}))
