from typing import Any

import pytest

from sandbox.companies import NEWS, Company
from tests.sandbox.client import SEARCH, Answer, Client, Question

VENDORS = list(SEARCH)


def in_the_news(client: Client) -> Company:
    return next(one for one in client.world.companies if NEWS in one.known_to and one.raised)


def titles(vendor: str, answer: Answer) -> list[str]:
    body: Any = answer.json
    match vendor:
        case "brave" | "tavily":
            found = body["results"]
        case "serper":
            found = body["news"]
        case _:
            found = body["content"][1]["content"]
    return [one["title"] for one in found]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_company_in_the_news_is_found_by_name_or_domain(client: Client, vendor: str) -> None:
    company = in_the_news(client)
    for query in (f'"{company.name}" funding', f"site:{company.domain} careers"):
        found = titles(vendor, await client.ask(vendor, SEARCH[vendor](query)))
        assert any("raises" in title for title in found)
        assert all(company.name in title for title in found)
    assert len(client.billed(vendor)) == 2


@pytest.mark.parametrize("vendor", VENDORS)
async def test_no_news_is_an_answer_and_billed(client: Client, vendor: str) -> None:
    silent = next(one for one in client.world.companies if NEWS not in one.known_to)
    assert titles(vendor, await client.ask(vendor, SEARCH[vendor](f'"{silent.name}"'))) == []
    assert len(client.billed(vendor)) == 1


@pytest.mark.parametrize(
    ("vendor", "status"), [("brave", 422), ("serper", 403), ("tavily", 401), ("claude", 401)]
)
async def test_every_vendor_has_its_own_status_for_a_bad_key(
    client: Client, vendor: str, status: int
) -> None:
    assert (await client.ask(vendor, SEARCH[vendor]("anything"), signed=False)).status == status


@pytest.mark.parametrize(
    ("vendor", "status", "words"),
    [
        ("brave", 429, "QUOTA_LIMITED"),
        ("serper", 400, "Not enough credits"),
        ("tavily", 432, "limit"),
        ("claude", 402, "credit"),
    ],
)
async def test_every_vendor_has_its_own_status_for_no_credits(
    client: Client,
    vendor: str,
    status: int,
    words: str,
) -> None:
    await client.set_balance(vendor, 0)
    answer = await client.ask(vendor, SEARCH[vendor]("anything"))
    assert answer.status == status
    assert words in answer.body.decode()
    assert client.billed(vendor) == []


async def test_brave_tells_a_wrong_key_from_a_missing_one(client: Client) -> None:
    missing = await client.ask("brave", SEARCH["brave"]("anything"), signed=False)
    assert missing.json["error"]["code"] == "VALIDATION"
    assert missing.json["error"]["meta"]["errors"][0]["loc"] == ["header", "x-subscription-token"]
    headers = {"X-Subscription-Token": "wrong"}
    wrong = await client.send("GET", "/brave/res/v1/web/search?q=a", headers=headers)
    assert wrong.json["error"]["code"] == "SUBSCRIPTION_TOKEN_INVALID"
    await client.switch("brave", "errors_list")
    wrong = await client.send("GET", "/brave/res/v1/web/search?q=a", headers=headers)
    assert wrong.json["errors"][0]["code"] == "SUBSCRIPTION_TOKEN_INVALID"


async def test_brave_web_may_have_no_web_part(client: Client) -> None:
    answer = await client.ask("brave", Question("GET", "res/v1/web/search", {"q": "anything"}))
    assert answer.json["web"]["results"] == []
    assert answer.headers["X-RateLimit-Limit"] == "50, 0"
    await client.switch("brave", "no_web_key")
    answer = await client.ask("brave", Question("GET", "res/v1/web/search", {"q": "anything"}))
    assert "web" not in answer.json
    query = f'"{in_the_news(client).name}"'
    answer = await client.ask("brave", Question("GET", "res/v1/web/search", {"q": query, "count": "1"}))
    assert len(answer.json["web"]["results"]) == 1


async def test_a_too_long_query_is_not_billed(client: Client) -> None:
    assert (await client.ask("brave", SEARCH["brave"]("a" * 401))).status == 422
    assert client.billed("brave") == []


async def test_brave_over_the_rate_is_429_without_retry_after(client: Client) -> None:
    await client.break_something("brave", "rate_limited")
    answer = await client.ask("brave", SEARCH["brave"]("anything"))
    assert (answer.status, answer.json["error"]["code"]) == (429, "RATE_LIMITED")
    assert "Retry-After" not in answer.headers


async def test_serper_takes_a_batch_and_charges_double_beyond_ten(client: Client) -> None:
    question = Question("POST", "search", document=[{"q": "one"}, {"q": "two", "num": 20}])
    answer = await client.ask("serper", question)
    assert [one["credits"] for one in answer.json] == [1, 2]
    bill = await client.control("GET", "bill")
    assert bill["by_vendor"]["serper"]["amount_usd"] == "0.003000"
    assert (await client.ask("serper", Question("POST", "search", document={}))).json["statusCode"] == 400


async def test_tavily_dates_the_news_and_charges_double_for_depth(client: Client) -> None:
    document = {"query": f'"{in_the_news(client).name}"', "search_depth": "advanced"}
    answer = await client.ask("tavily", Question("POST", "search", document=document))
    assert answer.json["usage"] == {"credits": 2}
    assert "published_date" not in answer.json["results"][0]
    usage = await client.ask("tavily", Question("GET", "usage"))
    assert usage.json["key"]["usage"] == 2
    await client.set_balance("tavily", 0)
    await client.switch("tavily", "payg_433")
    assert (await client.ask("tavily", SEARCH["tavily"]("anything"))).status == 433


async def test_claude_cites_and_counts_its_searches(client: Client) -> None:
    company = in_the_news(client)
    answer = await client.ask("claude", SEARCH["claude"](f'"{company.name}"'))
    kinds = [block["type"] for block in answer.json["content"]]
    assert kinds[:2] == ["server_tool_use", "web_search_tool_result"]
    assert answer.json["content"][2]["citations"][0]["url"].startswith("https://")
    assert answer.json["usage"]["server_tool_use"]["web_search_requests"] == 1


async def test_claudes_failed_search_is_a_200_and_free(client: Client) -> None:
    await client.switch("claude", "unavailable")
    answer = await client.ask("claude", SEARCH["claude"]("anything"))
    assert answer.status == 200
    assert answer.json["content"][1]["content"]["error_code"] == "unavailable"
    assert client.billed("claude") == []


async def test_claudes_paused_turn_ends_when_sent_again(client: Client) -> None:
    await client.switch("claude", "pause_turn")
    question = SEARCH["claude"]("anything")
    paused = await client.ask("claude", question)
    assert paused.json["stop_reason"] == "pause_turn"
    messages = [*question.document["messages"], {"role": "assistant", "content": paused.json["content"]}]
    again = Question(
        "POST", question.path, document={**question.document, "messages": messages}, headers=question.headers
    )
    assert (await client.ask("claude", again)).json["stop_reason"] == "end_turn"
    assert len(client.billed("claude")) == 1


async def test_claudes_other_troubles(client: Client) -> None:
    question = SEARCH["claude"]("anything")
    bare = Question("POST", question.path, document=question.document)
    assert (await client.ask("claude", bare)).json["error"]["type"] == "invalid_request_error"
    await client.switch("claude", "overloaded_529")
    await client.break_something("claude", "server_error")
    assert (await client.ask("claude", question)).status == 529
    await client.switch("claude", "credit_400")
    await client.set_balance("claude", 0)
    answer = await client.ask("claude", question)
    assert (answer.status, "credit balance" in answer.body.decode()) == (400, True)
