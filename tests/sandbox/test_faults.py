import asyncio
import gzip
import json
import time

import aiohttp
import pytest

from sandbox.faults import HUGE_BYTES
from sandbox.registry import VENDORS
from tests.sandbox.client import FIND, Answer, Client, Question, known_to, paid_question

NAMES = [vendor.name for vendor in VENDORS]


def tomba_question(client: Client) -> Question:
    return FIND["tomba"](next(known_to("tomba", client.world)))


async def ask(client: Client) -> Answer:
    return await client.ask("tomba", tomba_question(client))


async def struck(client: Client, kind: str, **wish: object) -> Answer:
    await client.break_something("tomba", kind, **wish)
    return await ask(client)


@pytest.mark.parametrize("kind", ["timeout_before_billing", "timeout_after_billing"])
async def test_silence(client: Client, kind: str) -> None:
    await client.break_something("tomba", kind)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(client), 0.2)
    assert len(client.billed("tomba")) == (kind == "timeout_after_billing")
    assert (await ask(client)).status == 200
    assert len(client.billed("tomba")) == 1


@pytest.mark.parametrize("kind", ["reset_before_billing", "reset_after_billing"])
async def test_resets(client: Client, kind: str) -> None:
    await client.break_something("findymail", kind)
    question = FIND["findymail"](next(known_to("findymail", client.world)))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.ask("findymail", question)
    assert len(client.billed("findymail")) == (kind == "reset_after_billing")


@pytest.mark.parametrize("kind", ["http_408_before_billing", "http_408_after_billing"])
async def test_a_408_tells_nothing_of_the_bill(client: Client, kind: str) -> None:
    answer = await struck(client, kind)
    assert (answer.status, answer.body) == (408, b"Request Timeout")
    assert len(client.billed("tomba")) == (kind == "http_408_after_billing")


async def test_an_answer_that_breaks_off_is_billed(client: Client) -> None:
    await client.break_something("tomba", "broken_off")
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(client)
    assert len(client.billed("tomba")) == 1


async def test_a_client_that_vanished_is_billed_all_the_same(client: Client) -> None:
    await client.control("POST", "latency", {"vendor": "tomba", "ms": 300})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(client), 0.1)
    assert len(client.billed("tomba")) == 1


async def test_an_answer_cut_short_or_damaged_is_billed(client: Client) -> None:
    for kind in ("malformed_json", "truncated_json"):
        answer = await struck(client, kind)
        assert answer.status == 200
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid|Extra"):
            _ = answer.json
    assert len(client.billed("tomba")) == 1


async def test_wrong_types_keep_the_shape(client: Client) -> None:
    data = (await struck(client, "wrong_types")).json["data"]
    assert isinstance(data["email"], int)
    assert isinstance(data["score"], str)
    assert isinstance(data["sources"], dict)


async def test_a_page_where_json_was_expected_is_not_billed(client: Client) -> None:
    answer = await struck(client, "html_200")
    assert (answer.status, answer.body[:9]) == (200, b"<!doctype")
    assert client.billed("tomba") == []


async def test_an_error_with_200_is_not_billed(client: Client) -> None:
    answer = await struck(client, "error_200")
    assert (answer.status, list(answer.json)) == (200, ["error"])
    assert client.billed("tomba") == []


async def test_a_redirect_leads_away_and_is_not_billed(client: Client) -> None:
    answer = await struck(client, "redirect")
    assert (answer.status, answer.headers["Location"]) == (302, "https://login.example/")
    assert client.billed("tomba") == []


async def test_a_wrong_label_stands_on_a_right_answer(client: Client) -> None:
    answer = await struck(client, "wrong_label")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.json == (await ask(client)).json


async def test_a_bomb_is_small_until_it_is_unpacked(client: Client) -> None:
    await client.break_something("tomba", "gzip_bomb")
    question = tomba_question(client)
    url, signature = f"{client.sandbox.url}/tomba/{question.path}", await client.signature("tomba")
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(question.method, url, params=question.params, **signature) as response,
    ):
        packed = await response.read()
    assert len(packed) < HUGE_BYTES / 100
    body = gzip.decompress(packed)
    assert len(body) > HUGE_BYTES
    assert json.loads(body)["data"]["email"]


async def test_a_huge_body_is_valid_and_huge(client: Client) -> None:
    answer = await struck(client, "huge_body")
    assert len(answer.body) > HUGE_BYTES - 65_536
    assert answer.json["data"]["email"]


async def test_a_slow_drip_comes_byte_by_byte(client: Client) -> None:
    await client.break_something("tomba", "slow_drip", ms=10)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(client), 0.2)
    assert len(client.billed("tomba")) == 1


async def test_latency(client: Client) -> None:
    started = time.monotonic()
    assert (await struck(client, "latency", ms=100)).status == 200
    assert time.monotonic() - started > 0.09


async def test_counts_delays_and_operations(client: Client) -> None:
    await client.break_something("tomba", "server_error", count=2, after=1, operation="find")
    await client.ask("tomba", Question("GET", "v1/me"))
    assert [(await ask(client)).status for _ in range(4)] == [200, 500, 500, 200]


async def test_everybody_for_ever_until_mended(client: Client) -> None:
    await client.break_something("*", "server_error", count=None)
    assert [(await ask(client)).status for _ in range(3)] == [500, 500, 500]
    await client.control("DELETE", "faults")
    assert (await ask(client)).status == 200


async def test_probability_is_drawn_from_the_seed(client: Client) -> None:
    await client.break_something("tomba", "server_error", count=None, probability=0.5)
    statuses = [(await ask(client)).status for _ in range(40)]
    assert 8 < statuses.count(500) < 32


async def test_faults_strike_web_sites_too(client: Client) -> None:
    await client.break_something("web", "rate_limited_bare")
    answer = await client.send("GET", "/", headers={"Host": client.world.companies[0].domain})
    assert answer.status == 429


@pytest.mark.parametrize("vendor", NAMES)
@pytest.mark.parametrize(
    "kind", ["rate_limited", "rate_limited_bare", "unauthorized", "out_of_credits", "server_error"]
)
async def test_every_vendor_refuses_without_billing(client: Client, vendor: str, kind: str) -> None:
    await client.signature(vendor)
    await client.break_something(vendor, kind)
    question = paid_question(vendor, client.world)
    answer = await client.ask(vendor, question)
    assert client.billed(vendor) == []
    assert answer.status in {200, 400, 401, 402, 403, 422, 429, 432, 500, 503}
    again = await client.ask(vendor, question)
    assert again.status in {200, 202}
    assert again.body != answer.body


@pytest.mark.parametrize("vendor", NAMES)
async def test_every_vendor_bills_a_paid_question_and_nothing_else(client: Client, vendor: str) -> None:
    question = paid_question(vendor, client.world)
    await client.ask(vendor, question, signed=False)
    assert client.billed(vendor) == []
    await client.ask(vendor, question)
    assert len(client.billed(vendor)) == 1
    for name in NAMES:
        assert name == vendor or client.billed(name) == []


async def test_wrong_types_leave_words_alone(client: Client) -> None:
    await client.break_something("apollo", "wrong_types")
    answer = await client.ask("apollo", paid_question("apollo", client.world), signed=False)
    assert (answer.status, answer.body) == (401, b"Invalid access credentials.")


@pytest.mark.parametrize(
    ("vendor", "status", "header", "words"),
    [
        ("tomba", 429, "X-RateLimit-Reset", '"errors"'),
        ("muraena", 429, "Retry-After", '"detail"'),
        ("voila_norbert", 429, "X-RateLimit-Reset", '"message"'),
        ("nimbler", 429, "Retry-After", '"message"'),
        ("icypeas", 429, "", '"success":false'),
        ("anymailfinder", 429, "", '"error":"too_many_requests"'),
        ("findymail", 429, "Retry-After", "Too Many Attempts."),
        ("reoon", 200, "", '"status":"error"'),
        ("mailverify", 429, "Retry-After", '"message"'),
        ("apollo", 429, "retry-after", '"message"'),
        ("clearbit", 429, "x-ratelimit-reset", '"error"'),
        ("people_data_labs", 429, "x-ratelimit-reset", "rate_limit_error"),
        ("zoominfo", 429, "X-RateLimit-Rejected-Bucket", "ZI0004"),
        ("builtwith", 429, "", '"retryAfterSeconds":1'),
        ("brave", 429, "X-RateLimit-Reset", "RATE_LIMITED"),
        ("claude", 429, "retry-after", "rate_limit_error"),
        ("serper", 429, "", '"statusCode":429'),
        ("tavily", 429, "retry-after", '"detail"'),
    ],
)
async def test_every_vendor_has_its_own_429(
    client: Client,
    vendor: str,
    status: int,
    header: str,
    words: str,
) -> None:
    await client.signature(vendor)
    await client.break_something(vendor, "rate_limited")
    answer = await client.ask(vendor, paid_question(vendor, client.world))
    assert answer.status == status
    assert words in answer.body.decode()
    assert header in answer.headers if header else "Retry-After" not in answer.headers


async def test_a_wait_may_be_over_or_last_until_tomorrow(client: Client) -> None:
    late = await struck(client, "rate_limited_late")
    assert (late.status, late.headers["Retry-After"]) == (429, "Wed, 21 Oct 2015 07:28:00 GMT")
    spent = await struck(client, "day_spent")
    assert spent.status == 429
    assert int(spent.headers["X-RateLimit-Reset"]) > 80_000


@pytest.mark.parametrize("vendor", NAMES)
async def test_a_429_without_any_help_looks_the_same_everywhere(client: Client, vendor: str) -> None:
    await client.signature(vendor)
    await client.break_something(vendor, "rate_limited_bare")
    answer = await client.ask(vendor, paid_question(vendor, client.world))
    assert (answer.status, answer.body) == (429, b"Too Many Requests")
    assert not [name for name in answer.headers if "limit" in name.lower() or name.lower() == "retry-after"]
