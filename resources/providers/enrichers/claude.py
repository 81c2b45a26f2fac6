"""Claude with its web search tool: a model that reads and judges (docs.claude.com, web search tool).

Billed for each search and for tokens; only the searches stand in the ledger.
"""

import json
from dataclasses import replace

from resources.providers.answers import Problem, Remedy, by_status_and_json
from resources.providers.enrichers.claude_answer import found, searches_told
from resources.providers.enrichers.searches import Search, called
from resources.providers.enrichers.web_search import KEY, SearchSource
from resources.providers.reading import text_at
from resources.providers.request import Question, Request, post
from resources.providers.response import Response, told_to_wait
from resources.providers.signing import Secrets, Signature

MODEL = "WEB_SEARCH_MODEL"
PATH = "/v1/messages"
TOOK_TOO_LONG = 504
SOUGHT = {"news": "news", "funding": "news of funding rounds", "hiring": "current job openings"}


def ask(search: Search, question: Question) -> Request:
    """One search at most, so that its price is known before."""
    lead, since = question.lead, f" of the last {search.since}" if search.since else ""
    words = (
        f"Search the web once for {SOUGHT[search.topic]}{since} about the company {json.dumps(called(lead))} "
        f"({lead.company_domain}). In one short sentence each, cite the results that are about it."
    )
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    messages = [{"role": "user", "content": words}]
    model = question.options.get(MODEL, "")
    return post(PATH, model=model, max_tokens=1024, messages=messages, tools=[tool])


def resume(job: str) -> Request:
    return Request("POST", PATH, body=json.loads(job))


def problem(response: Response) -> Problem | None:
    """Requests have one form, so a 400 or 404 speaks of the account or the model, not of the lead."""
    told = text_at(response.body, "error", "message")
    if response.status == 400:
        spent = "credit" in told.lower()
        return Problem(Remedy.OUT_OF_CREDITS if spent else Remedy.BAD_KEY, told or "HTTP 400")
    if response.status == 404 and told:
        return Problem(Remedy.BAD_KEY, told)
    return _may_be_tried_again(response, by_status_and_json(response))


def _may_be_tried_again(response: Response, failure: Problem | None) -> Problem | None:
    """A conflict or an overload is not billed; the vendor says where another try is in vain.

    What took too long (504) may have searched.
    """
    passing = response.status == 409 or (response.status >= 500 and response.status != TOOK_TOO_LONG)
    if not passing or response.headers.get("x-should-retry") == "false":
        return failure
    return Problem(Remedy.RATE_LIMITED, f"HTTP {response.status}", told_to_wait(response))


def sign(secrets: Secrets) -> Signature:
    return Signature({"x-api-key": secrets[KEY], "anthropic-version": "2023-06-01"})


SOURCE = SearchSource("claude", "https://api.anthropic.com", ask, found, sign, problem, searches_told, resume)
SPECS = replace(SOURCE, timeout_s=120.0, options={MODEL: "claude-haiku-4-5"}).specs()
