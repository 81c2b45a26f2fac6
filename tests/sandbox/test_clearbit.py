import aiohttp
import pytest

from sandbox.app import serve
from sandbox.options import Options
from tests.sandbox.client import ENRICH, Client, Question, listed_by, not_listed_by


async def test_a_company_is_flat(client: Client) -> None:
    company = next(listed_by("clearbit", client.world))
    answer = await client.ask("clearbit", ENRICH["clearbit"](company))
    assert answer.json["domain"] == company.domain
    assert answer.json["metrics"]["employees"] == company.employees
    assert answer.json["linkedin"]["handle"] == f"company/{company.slug}"
    assert int(answer.headers["x-ratelimit-reset"]) > 10**9
    again = await client.ask("clearbit", Question("GET", f"v2/companies/{answer.json['id']}"))
    assert again.json["domain"] == company.domain


async def test_a_miss_is_404_and_free(client: Client) -> None:
    answer = await client.ask("clearbit", ENRICH["clearbit"](next(not_listed_by("clearbit", client.world))))
    assert (answer.status, answer.json["error"]["type"]) == (404, "unknown_record")
    assert client.billed("clearbit") == []


@pytest.mark.parametrize("variant", ["queued", "queued_empty"])
async def test_a_queued_look_up_is_free_until_it_is_there(client: Client, variant: str) -> None:
    await client.switch("clearbit", variant)
    question = ENRICH["clearbit"](next(listed_by("clearbit", client.world)))
    answers = [await client.ask("clearbit", question) for _ in range(3)]
    assert [one.status for one in answers] == [202, 202, 200]
    assert answers[0].body == (b"" if variant == "queued_empty" else b'{"error":{"type":"queued"}}')
    assert len(client.billed("clearbit")) == 1


async def test_refusals(client: Client) -> None:
    question = ENRICH["clearbit"](next(listed_by("clearbit", client.world)))
    answer = await client.ask("clearbit", question, signed=False)
    assert (answer.status, answer.json["error"]["type"]) == (401, "auth_required")
    assert "x-ratelimit-limit" in answer.headers
    headers = {"Authorization": "Bearer sk_wrong"}
    answer = await client.send("GET", "/clearbit/v2/companies/find?domain=a.example", headers=headers)
    assert answer.json["error"]["type"] == "invalid_api_key"
    await client.set_balance("clearbit", 0)
    assert (await client.ask("clearbit", question)).status == 402
    assert (await client.ask("clearbit", Question("GET", "v2/companies/find"))).status == 422
    answer = await client.ask("clearbit", Question("GET", "v3/nothing"), signed=False)
    assert (answer.status, answer.json["error"]["type"]) == (404, "unknown_route")


async def test_over_the_rate_there_is_a_reset_and_no_retry_after() -> None:
    options = Options(latency_ms=0, rate_factor=1 / 600)
    async with serve(options) as sandbox, aiohttp.ClientSession() as session:
        client = Client(sandbox, session)
        question = ENRICH["clearbit"](next(listed_by("clearbit", client.world)))
        answers = [await client.ask("clearbit", question) for _ in range(2)]
    assert [one.status for one in answers] == [200, 429]
    assert answers[1].headers["x-ratelimit-remaining"] == "0"
    assert "Retry-After" not in answers[1].headers


async def test_person_and_company_by_address(client: Client) -> None:
    person = next(one for one in client.world.people if one.email and "clearbit" in one.company.known_to)
    answer = await client.ask("clearbit", Question("GET", "v2/combined/find", {"email": person.email}))
    assert answer.json["person"]["name"]["fullName"] == person.name
    assert answer.json["company"]["domain"] == person.company.domain


async def test_any_field_may_be_null(client: Client) -> None:
    await client.switch("clearbit", "sparse")
    answer = await client.ask("clearbit", ENRICH["clearbit"](next(listed_by("clearbit", client.world))))
    assert set(answer.json["metrics"].values()) == {None}
