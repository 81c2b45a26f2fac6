import asyncio

import pytest

from tests.sandbox.client import ENRICH, Client, Question, listed_by, not_listed_by


async def test_technologies_stand_under_result_and_meta_beside_it(client: Client) -> None:
    company = next(listed_by("builtwith", client.world))
    answer = await client.ask("builtwith", ENRICH["builtwith"](company))
    result = answer.json["Results"][0]
    technologies = [one["Name"] for one in result["Result"]["Paths"][0]["Technologies"]]
    assert technologies == [name for name, _, _ in company.technologies]
    assert result["Result"]["IsDB"] == "True"
    assert result["Meta"]["CompanyName"] == company.name
    assert result["Lookup"] == company.domain
    assert answer.json["Errors"] == []
    assert answer.headers["X-RATELIMIT-LIMIT-PERSECOND"] == "10"


async def test_a_miss_has_no_paths_and_is_billed(client: Client) -> None:
    company = next(not_listed_by("builtwith", client.world))
    answer = await client.ask("builtwith", ENRICH["builtwith"](company))
    assert answer.json["Results"][0]["Result"]["Paths"] == []
    assert client.billed("builtwith") == [("lookup", company.domain)]


async def test_the_drop_in_remaining_is_the_cost(client: Client) -> None:
    await client.set_balance("builtwith", 10)
    params = {"LOOKUP": ",".join(one.domain for one in client.world.companies[:3])}
    answer = await client.ask("builtwith", Question("GET", "v23/api.json", params))
    assert len(answer.json["Results"]) == 3
    assert answer.headers["X-API-CREDITS-REMAINING"] == "7"
    assert answer.headers["X-API-CREDITS-AVAILABLE"] == "10"


@pytest.mark.parametrize(
    ("switch", "code"),
    [("ignored_domain", -8), ("internal_error", -99), ("usage_not_saved", -6), ("allowance_reached", -5)],
)
async def test_failures_are_200_with_errors(client: Client, switch: str, code: int) -> None:
    await client.switch("builtwith", switch)
    answer = await client.ask("builtwith", ENRICH["builtwith"](client.world.companies[0]))
    assert (answer.status, answer.json["Results"], answer.json["Errors"][0]["Code"]) == (200, [], code)


async def test_a_bad_key_is_minus_2_and_no_credits_minus_3(client: Client) -> None:
    question = ENRICH["builtwith"](client.world.companies[0])
    assert (await client.ask("builtwith", question, signed=False)).json["Errors"][0]["Code"] == -2
    await client.set_balance("builtwith", 0)
    assert (await client.ask("builtwith", question)).json["Errors"][0]["Code"] == -3
    assert client.billed("builtwith") == []


async def test_the_key_may_stand_in_the_query(client: Client) -> None:
    params = {"LOOKUP": client.world.companies[0].domain, "KEY": client.account("builtwith").key}
    answer = await client.ask("builtwith", Question("GET", "v22/api.json", params), signed=False)
    assert answer.json["Errors"] == []


async def test_an_eleventh_call_within_the_second_is_429_with_the_wait_in_the_body(client: Client) -> None:
    question = ENRICH["builtwith"](client.world.companies[0])
    answers = [await client.ask("builtwith", question) for _ in range(11)]
    assert [one.status for one in answers] == [200] * 10 + [429]
    assert answers[-1].json["retryAfterSeconds"] == 1
    assert "Retry-After" not in answers[-1].headers
    assert len(client.billed("builtwith")) == 10


async def test_a_ninth_call_at_once_is_429(client: Client) -> None:
    await client.control("POST", "latency", {"vendor": "builtwith", "ms": 100})
    question = ENRICH["builtwith"](client.world.companies[0])
    answers = await asyncio.gather(*(client.ask("builtwith", question) for _ in range(9)))
    assert sorted(one.status for one in answers) == [200] * 8 + [429]


async def test_rare_shapes(client: Client) -> None:
    company = next(listed_by("builtwith", client.world))
    for variant in ("meta_null", "live_thin", "empty_path"):
        await client.switch("builtwith", variant)
    result = (await client.ask("builtwith", ENRICH["builtwith"](company))).json["Results"][0]
    assert result["Meta"] is None
    assert result["Result"]["IsDB"] == "False"
    assert len(result["Result"]["Paths"][0]["Technologies"]) == 1
    missing = next(not_listed_by("builtwith", client.world))
    result = (await client.ask("builtwith", ENRICH["builtwith"](missing))).json["Results"][0]
    assert result["Result"]["Paths"][0]["Technologies"] == []


async def test_a_small_bulk_comes_at_once_a_large_one_can_be_read_once(client: Client) -> None:
    domains = [company.domain for company in client.world.companies[:40]]
    small = Question("POST", "v23/domain/bulk", document={"lookups": domains[:2]})
    assert len((await client.ask("builtwith", small)).json["Results"]) == 2
    taken = await client.ask("builtwith", Question("POST", "v23/domain/bulk", document={"lookups": domains}))
    assert (taken.status, taken.json["status"], taken.json["count"]) == (202, "queued", 40)
    job = f"v23/domain/bulk/{taken.json['job_id']}"
    statuses = [(await client.ask("builtwith", Question("GET", job))).json["status"] for _ in range(3)]
    assert statuses == ["queued", "running", "completed"]
    assert len((await client.ask("builtwith", Question("GET", f"{job}/result"))).json["Results"]) == 40
    assert (await client.ask("builtwith", Question("GET", f"{job}/result"))).status == 404
    assert len(client.billed("builtwith")) == 42


async def test_account_pages_are_free(client: Client) -> None:
    await client.set_balance("builtwith", 5)
    usage = await client.ask("builtwith", Question("GET", "usagev2/api.json"))
    assert usage.json == {"used": 0, "purchased": 5, "remaining": 5}
    assert (await client.ask("builtwith", Question("GET", "whoamiv1/api.json"))).json[
        "maxRequestsPerSecond"
    ] == 10
    assert client.billed("builtwith") == []
