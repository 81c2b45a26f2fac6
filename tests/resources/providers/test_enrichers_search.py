"""Every answer that the sheet on web search describes, from each of its four sources."""

import json
from decimal import Decimal
from typing import Any

import pytest

from phase3_core.calls import Billing, Facts, Miss
from phase3_core.tiers import Topic
from resources.providers.answers import Pending, Problem, Remedy
from resources.providers.catalogue import CATALOGUE
from resources.providers.enrichers import brave, claude, serper, tavily
from resources.providers.enrichers.articles import article, plain, usable
from resources.providers.request import Question, Request
from resources.providers.spec import ProviderSpec
from tests.resources.providers.sheet import DANA, HTML, KEY, Said, lead, read, response

MISS = Miss()
BAD_KEY, BROKE, LIMITED = Remedy.BAD_KEY, Remedy.OUT_OF_CREDITS, Remedy.RATE_LIMITED
BAD_INPUT, DOWN, NONSENSE = Remedy.BAD_INPUT, Remedy.DOWN, Remedy.NONSENSE

Case = tuple[str, int, Any, Said]  # what happens, HTTP status, body, what it is taken for
SOURCES = {"brave": brave.SPECS, "claude": claude.SPECS, "serper": serper.SPECS, "tavily": tavily.SPECS}
ALL = [spec for specs in SOURCES.values() for spec in specs]
each_source = pytest.mark.parametrize("name", SOURCES)
each_spec = pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.label)


def cases(*examples: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("status", "body", "expected"),
        [pytest.param(status, body, expected, id=name) for name, status, body, expected in examples],
    )


def news_of(spec: ProviderSpec, status: int, body: Any, headers: dict[str, str] | None = None) -> Said:
    (operation,) = spec.operations
    return read(spec, operation.read, response(status, body, headers, asked(spec)))


def asked(spec: ProviderSpec, **options: str) -> Request:
    (operation,) = spec.operations
    request = operation.ask(Question(DANA, options={**spec.options, **options}))
    assert request is not None
    return request


def told(
    title: str = "Acme raises $25M",
    url: str = "https://news.example/acme",
    published_at: str | None = "2026-03-11",
    published_raw: str = "",
    source: str = "news.example",
) -> dict[str, Any]:
    return {
        "title": title,
        "url": url,
        "published_at": published_at,
        "published_raw": published_raw or published_at or "",
        "source": source,
    }


# --- Brave -----------------------------------------------------------------------------------------------

BRAVE_ITEM = {
    "type": "news_result",
    "title": "<strong>Acme</strong> raises &#36;25M",
    "url": "https://news.example/acme",
    "description": "..",
    "age": "3 weeks ago",
    "page_age": "2026-03-11T09:00:00",
    "meta_url": {"hostname": "news.example"},
    "thumbnail": {"src": ".."},
}
BRAVE_NEWS = {"type": "news", "query": {"original": ".."}, "results": [BRAVE_ITEM]}
BRAVE_WEB = {"type": "search", "query": {"original": ".."}, "web": {"results": [BRAVE_ITEM]}, "news": {}}
FOUND_BY_BRAVE = told(published_raw="3 weeks ago")


def brave_error(status: int, code: str, **meta: Any) -> dict[str, Any]:
    error = {"id": "..", "status": status, "code": code, "detail": "..", "meta": meta}
    return {"type": "ErrorResponse", "error": error, "time": 0}


NO_KEY = brave_error(422, "VALIDATION", errors=[{"loc": ["header", "x-subscription-token"]}])
LONG_QUERY = brave_error(422, "VALIDATION", errors=[{"loc": ["query", "q"]}])
AS_A_LIST = {"type": "ErrorResponse", "errors": [{"code": "SUBSCRIPTION_TOKEN_INVALID"}]}


@cases(
    ("news", 200, BRAVE_NEWS, Facts({"news": [FOUND_BY_BRAVE]})),
    ("pages", 200, BRAVE_WEB, Facts({"news": [FOUND_BY_BRAVE]})),
    ("no date", 200, {"type": "news", "results": [{"title": "x", "url": "https://a.example/1"}]},
     Facts({"news": [told("x", "https://a.example/1", None, "", "a.example")]})),
    ("no news", 200, BRAVE_NEWS | {"results": []}, MISS),
    ("no pages, no list", 200, {"type": "search", "query": {}}, MISS),
    ("results as an object", 200, BRAVE_NEWS | {"results": {"0": {}}}, NONSENSE),
    ("another form", 200, {"results": [BRAVE_ITEM]}, NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("bad key", 422, brave_error(422, "SUBSCRIPTION_TOKEN_INVALID"), BAD_KEY),
    ("bad key, in a list", 422, AS_A_LIST, BAD_KEY),
    ("no key", 422, NO_KEY, BAD_KEY),
    ("bad parameter", 422, LONG_QUERY, BAD_INPUT),
    ("too fast", 429, brave_error(429, "RATE_LIMITED"), LIMITED),
    ("month used up", 429, brave_error(429, "QUOTA_LIMITED"), BROKE),
    ("server fault, not billed", 500, brave_error(500, "INTERNAL"), LIMITED),
    ("wrong base URL", 404, HTML, NONSENSE),
)  # fmt: skip
def test_brave(status: int, body: Any, expected: Said) -> None:
    assert news_of(brave.SPECS[0], status, body) == expected


@pytest.mark.parametrize(
    ("limit", "left", "expected"),
    [
        ("50, 2000", "49, 0", BROKE),
        ("50, 0", "0, 0", LIMITED),
        ("50, 2000", "0, 7", LIMITED),
        ("", "", LIMITED),
    ],
)
def test_brave_tells_a_used_up_month_in_its_headers(limit: str, left: str, expected: Said) -> None:
    headers = {"x-ratelimit-limit": limit, "x-ratelimit-remaining": left}
    assert news_of(brave.SPECS[0], 429, brave_error(429, "RATE_LIMITED"), headers) == expected


def test_brave_waits_for_the_first_window() -> None:
    problem = brave.problem(response(429, {}, {"x-ratelimit-reset": "1, 1419704"}))
    assert problem == Problem(LIMITED, "HTTP 429", 1.0)


def test_brave_is_asked_for_news_of_the_month_funding_of_the_year_and_pages_about_jobs() -> None:
    assert [asked(spec) for spec in brave.SPECS] == [
        Request(
            "GET", "/news/search", {"q": '"Acme Example" acme.example', "count": "10", "freshness": "pm"}
        ),
        Request(
            "GET",
            "/news/search",
            {"q": '"Acme Example" (raises OR funding OR "Series")', "count": "10", "freshness": "py"},
        ),
        Request("GET", "/web/search", {"q": '"Acme Example" hiring', "count": "10"}),
    ]


# --- Tavily ----------------------------------------------------------------------------------------------

TAVILY_ITEM = {
    "title": "Acme raises $25M",
    "url": "https://news.example/acme",
    "content": "..",
    "score": 0.81,
    "raw_content": None,
    "published_date": "Wed, 11 Mar 2026 09:00:00 GMT",
}
TAVILY = {"query": "..", "answer": None, "images": [], "results": [TAVILY_ITEM], "usage": {"credits": 1}}
TAVILY_ERROR = {"detail": {"error": ".."}}


@cases(
    ("found", 200, TAVILY,
     Facts({"news": [told(published_raw="Wed, 11 Mar 2026 09:00:00 GMT")]})),
    ("nothing", 200, TAVILY | {"results": []}, MISS),
    ("no list", 200, {"query": ".."}, NONSENSE),
    ("bad input", 400, TAVILY_ERROR, BAD_INPUT),
    ("bad key", 401, TAVILY_ERROR, BAD_KEY),
    ("forbidden", 403, TAVILY_ERROR, BAD_KEY),
    ("too fast", 429, TAVILY_ERROR, LIMITED),
    ("plan used up", 432, TAVILY_ERROR, BROKE),
    ("pay as you go used up", 433, TAVILY_ERROR, BROKE),
    ("server fault", 500, TAVILY_ERROR, DOWN),
)  # fmt: skip
def test_tavily(status: int, body: Any, expected: Said) -> None:
    assert news_of(tavily.SPECS[0], status, body) == expected


def test_tavily_is_asked_for_one_credits_worth() -> None:
    news, _, hiring = (asked(spec).body for spec in tavily.SPECS)
    assert news == {
        "query": '"Acme Example" acme.example',
        "topic": "news",
        "search_depth": "basic",
        "max_results": 10,
        "include_usage": True,
        "time_range": "month",
    }
    assert hiring["topic"] == "general"
    assert "time_range" not in hiring


# --- Serper ----------------------------------------------------------------------------------------------

SERPER_ITEM = {
    "title": "Acme raises $25M",
    "link": "https://news.example/acme",
    "snippet": "..",
    "date": "2 weeks ago",
    "source": "Robot Daily",
    "imageUrl": "..",
    "position": 1,
}
SERPER_NEWS = {"searchParameters": {"q": "..", "type": "news"}, "news": [SERPER_ITEM], "credits": 1}
SERPER_WEB = {
    "searchParameters": {"q": "..", "type": "search"},
    "organic": [{"title": "Careers", "link": "https://acme.example/careers", "date": "Mar 11, 2026"}],
    "knowledgeGraph": {"title": "Acme"},
    "credits": 1,
}


@cases(
    ("news", 200, SERPER_NEWS,
     Facts({"news": [told(published_at=None, published_raw="2 weeks ago", source="Robot Daily")]})),
    ("pages", 200, SERPER_WEB,
     Facts({"news": [told("Careers", "https://acme.example/careers", "2026-03-11", "Mar 11, 2026",
                          "acme.example")]})),
    ("nothing", 200, SERPER_NEWS | {"news": []}, MISS),
    ("nothing, no list", 200, {"searchParameters": {"type": "news"}, "credits": 1}, MISS),
    ("no answer", 200, {}, NONSENSE),
    ("news as an object", 200, SERPER_NEWS | {"news": {}}, NONSENSE),
    ("bad key", 403, {"message": "Unauthorized.", "statusCode": 403}, BAD_KEY),
    ("out of credits", 400, {"message": "Not enough credits", "statusCode": 400}, BROKE),
    ("bad input", 400, {"message": "Missing query parameter", "statusCode": 400}, BAD_INPUT),
    ("too fast", 429, "", LIMITED),
    ("server fault", 500, {"message": "Internal server error"}, DOWN),
)  # fmt: skip
def test_serper(status: int, body: Any, expected: Said) -> None:
    assert news_of(serper.SPECS[0], status, body) == expected


def test_serper_is_asked_for_ten() -> None:
    assert [(one.path, one.body.get("tbs"), one.body["num"]) for one in map(asked, serper.SPECS)] == [
        ("/news", "qdr:m", 10),
        ("/news", "qdr:y", 10),
        ("/search", None, 10),
    ]


# --- Claude ----------------------------------------------------------------------------------------------

USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": ".."}}
RESULT = {
    "type": "web_search_result",
    "url": "https://news.example/acme",
    "title": "Acme raises $25M",
    "page_age": "March 11, 2026",
    "encrypted_content": "..",
}
OTHER = RESULT | {"url": "https://news.example/elsewhere", "title": "Elsewhere", "page_age": None}
CITING = {
    "type": "text",
    "text": "Acme raised money; see https://invented.example.",
    "citations": [{"type": "web_search_result_location", "url": RESULT["url"], "cited_text": ".."}],
}
FOUND_BY_CLAUDE = told(published_raw="March 11, 2026")
FOUND_ELSEWHERE = told("Elsewhere", "https://news.example/elsewhere", None)


def results(content: Any) -> dict[str, Any]:
    return {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}


def message(*content: Any, stop: str = "end_turn", searches: int = 1) -> dict[str, Any]:
    usage = {"input_tokens": 2700, "server_tool_use": {"web_search_requests": searches}}
    return {"type": "message", "content": list(content), "stop_reason": stop, "usage": usage}


def failed(code: str) -> dict[str, Any]:
    error = {"type": "web_search_tool_result_error", "error_code": code}
    return message(USE, results(error), {"type": "text", "text": "Sorry."}, searches=0)


def refusal(kind: str, words: str = "..") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_1"}


@cases(
    ("cited", 200, message(USE, results([OTHER, RESULT]), CITING), Facts({"news": [FOUND_BY_CLAUDE]})),
    ("not cited", 200, message(USE, results([OTHER, RESULT])),
     Facts({"news": [FOUND_ELSEWHERE, FOUND_BY_CLAUDE]})),
    ("cut off, with results", 200, message(USE, results([RESULT]), stop="max_tokens"),
     Facts({"news": [FOUND_BY_CLAUDE]})),
    ("paused, with results", 200, message(USE, results([RESULT]), stop="pause_turn"),
     Facts({"news": [FOUND_BY_CLAUDE]})),
    ("one search failed, one did not", 200,
     message(USE, results([RESULT]), results({"error_code": "max_uses_exceeded"})),
     Facts({"news": [FOUND_BY_CLAUDE]})),
    ("nothing found", 200, message(USE, results([]), {"type": "text", "text": "https://invented.example"}),
     MISS),
    ("tool: too many", 200, failed("too_many_requests"), LIMITED),
    ("tool: unavailable", 200, failed("unavailable"), LIMITED),
    ("tool: used up", 200, failed("max_uses_exceeded"), LIMITED),
    ("tool: too long", 200, failed("query_too_long"), BAD_INPUT),
    ("tool: bad input", 200, failed("invalid_tool_input"), BAD_INPUT),
    ("searched, results missing", 200, message(USE, stop="pause_turn", searches=1), NONSENSE),
    ("from memory", 200, message({"type": "text", "text": "Acme did this."}, searches=0), NONSENSE),
    ("refused", 200, message(stop="refusal", searches=0), NONSENSE),
    ("a page", 200, HTML, NONSENSE),
    ("account or tool", 400, refusal("invalid_request_error", "web search is not enabled"), BAD_KEY),
    ("out of credit, as bad input", 400, refusal("invalid_request_error", "Your credit balance is too low"),
     BROKE),
    ("bad key", 401, refusal("authentication_error"), BAD_KEY),
    ("out of credit", 402, refusal("billing_error"), BROKE),
    ("forbidden", 403, refusal("permission_error"), BAD_KEY),
    ("no such model", 404, refusal("not_found_error", "model: claude-1"), BAD_KEY),
    ("wrong base URL", 404, HTML, NONSENSE),
    ("timed out at the vendor's", 408, refusal("timeout_error"), DOWN),
    ("conflict", 409, refusal("conflict_error"), LIMITED),
    ("too large", 413, refusal("request_too_large"), BAD_INPUT),
    ("too fast", 429, refusal("rate_limit_error"), LIMITED),
    ("server fault", 500, refusal("api_error"), LIMITED),
    ("took too long", 504, refusal("timeout_error"), DOWN),
    ("overloaded", 529, refusal("overloaded_error"), LIMITED),
)  # fmt: skip
def test_claude(status: int, body: Any, expected: Said) -> None:
    assert news_of(claude.SPECS[0], status, body) == expected


def test_claude_says_where_another_try_is_in_vain() -> None:
    assert news_of(claude.SPECS[0], 529, refusal("overloaded_error"), {"x-should-retry": "false"}) == DOWN


def test_claude_is_continued_after_a_pause_with_all_that_was_said() -> None:
    spec = claude.SPECS[0]
    pending = news_of(spec, 200, message(USE, stop="pause_turn", searches=0))
    assert isinstance(pending, Pending)
    (operation,) = spec.operations
    assert operation.poll is not None
    before, after = asked(spec), operation.poll.ask(pending.job_id)
    assert after.body["messages"] == [*before.body["messages"], {"role": "assistant", "content": [USE]}]
    assert after.body["tools"] == before.body["tools"]
    assert operation.poll.give_up_s == 0, "each further message is billed"


def test_claude_searches_once_with_the_model_that_was_chosen() -> None:
    body = asked(claude.SPECS[1], WEB_SEARCH_MODEL="claude-sonnet-5").body
    assert body["model"] == "claude-sonnet-5"
    assert body["tools"] == [{"type": "web_search_20250305", "name": "web_search", "max_uses": 1}]
    assert "funding rounds of the last year" in body["messages"][0]["content"]
    assert asked(claude.SPECS[1]).body["model"] == "claude-haiku-4-5"


# --- all of them -----------------------------------------------------------------------------------------


@each_source
def test_each_source_is_asked_three_questions(name: str) -> None:
    specs = SOURCES[name]
    assert [spec.label for spec in specs] == [f"{name}:news", f"{name}:funding", f"{name}:hiring"]
    assert [spec.operations[0].name for spec in specs] == ["news", "funding", "hiring"]
    assert all(spec.topics == {Topic(spec.question)} and spec.per_company for spec in specs)


@each_spec
def test_the_answer_stands_under_its_question(spec: ProviderSpec) -> None:
    samples = {
        "brave": BRAVE_NEWS,
        "tavily": TAVILY,
        "serper": SERPER_NEWS,
        "claude": message(results([RESULT])),
    }
    facts = news_of(spec, 200, samples[spec.name])
    assert isinstance(facts, Facts)
    assert list(facts.fields) == [spec.question]


@each_spec
def test_a_company_without_a_domain_is_not_asked_about(spec: ProviderSpec) -> None:
    assert spec.operations[0].ask(Question(lead(company_domain=""), options=spec.options)) is None


@each_spec
def test_a_company_without_a_name_goes_by_its_domain(spec: ProviderSpec) -> None:
    request = spec.operations[0].ask(Question(lead(company_name=' " '), options=spec.options))
    assert request is not None
    assert "acme.example" in json.dumps(request.as_json())


@each_spec
def test_a_companys_name_cannot_leave_its_quotes_nor_grow(spec: ProviderSpec) -> None:
    request = spec.operations[0].ask(
        Question(lead(company_name='Acme" OR\n"rival ' + "x" * 500), options=spec.options)
    )
    assert request is not None
    words = request.query.get("q") or request.body.get("q") or request.body.get("query")
    assert words is None or (words.count('"') in {2, 4} and len(words) < 400 and "\n" not in words)


@each_spec
def test_no_secret_stands_in_a_request(spec: ProviderSpec) -> None:
    signature = spec.sign({"WEB_SEARCH_API_KEY": KEY})
    assert KEY in json.dumps(dict(signature.headers))
    assert KEY not in json.dumps(asked(spec).as_json())


def test_the_key_stands_in_the_vendors_header() -> None:
    keys = {"WEB_SEARCH_API_KEY": KEY}
    assert brave.sign(keys).headers["X-Subscription-Token"] == KEY
    assert tavily.sign(keys).headers == {"Authorization": f"Bearer {KEY}"}
    assert serper.sign(keys).headers == {"X-API-KEY": KEY}
    assert claude.sign(keys).headers == {"x-api-key": KEY, "anthropic-version": "2023-06-01"}


@each_source
def test_who_counts_credits_can_read_them(name: str) -> None:
    rows = [row for row in CATALOGUE if row.name == name]
    counts = {"brave": Billing.PER_CALL}.get(name, Billing.PER_CREDIT)
    assert [row.terms.price.billing for row in rows] == [counts] * 3
    assert all((row.spec.operations[0].credits is None) == (name == "brave") for row in rows)


@pytest.mark.parametrize(
    ("spec", "body", "charged"),
    [
        (claude.SPECS[0], message(searches=2), "2"),
        (claude.SPECS[0], message(searches=0), "0"),
        (serper.SPECS[0], SERPER_NEWS | {"credits": 2}, "2"),
        (tavily.SPECS[0], TAVILY, "1"),
        (tavily.SPECS[0], {"results": []}, None),
        (serper.SPECS[0], {"credits": True}, None),
        (serper.SPECS[0], {"credits": 1e300}, None),
        (serper.SPECS[0], {"credits": "one"}, None),
    ],
)
def test_the_answer_says_what_it_cost(spec: ProviderSpec, body: Any, charged: str | None) -> None:
    count = spec.operations[0].credits
    assert count is not None
    assert count(response(200, body)) == (None if charged is None else Decimal(charged))


# --- articles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<strong>Acme</strong>, Inc.", "Acme, Inc."),
        ("&lt;b&gt;Acme&lt;/b&gt; &amp; Co", "Acme & Co"),
        ("a < b\n and  c > d", "a < b and c > d"),
        ("<script>alert(1)</script>x", "alert(1)x"),
    ],
)
def test_tags_are_taken_out(text: str, seen: str) -> None:
    assert plain(text) == seen


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a.example/1", True),
        ("http://a.example", True),
        ("javascript:alert(1)", False),
        ("javascript://a.example/%0aalert(1)", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("http://[::1", False),
        ("", False),
        ("https://a.example/" + "x" * 3000, False),
    ],
)
def test_only_addresses_on_the_web_are_kept(url: str, *, kept: bool) -> None:
    assert bool(usable([article("Acme", url)])) == kept


def test_the_same_address_is_told_once_and_ten_at_most() -> None:
    many = [article("Acme", f"https://a.example/{n % 15}") for n in range(30)]
    assert [one["url"] for one in usable(many)] == [f"https://a.example/{n}" for n in range(10)]


@pytest.mark.parametrize(
    ("published", "day"),
    [
        ("2026-03-11T09:00:00", "2026-03-11"),
        ("2026-03-11T09:00:00Z", "2026-03-11"),
        ("2026-03-11", "2026-03-11"),
        ("Wed, 11 Mar 2026 09:00:00 GMT", "2026-03-11"),
        ("March 11, 2026", "2026-03-11"),
        ("Mar 11, 2026", "2026-03-11"),
        ("2 weeks ago", None),
        ("", None),
        ("February 31, 2026", None),
        ("Wed, 99 Mar 2026 99:00:00 GMT", None),
    ],
)
def test_days_are_read_as_vendors_write_them(published: str, day: str | None) -> None:
    assert article("Acme", "https://a.example", published=published)["published_at"] == day
