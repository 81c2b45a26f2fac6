import pytest

from sandbox.scenarios import Fate
from tests.sandbox.client import FIND, Client, Question, known_to, not_known_to


async def test_a_known_person_comes_with_the_true_address(client: Client) -> None:
    person = next(one for one in known_to("tomba", client.world) if one.fate is Fate.VALID)
    answer = await client.ask("tomba", FIND["tomba"](person))
    data = answer.json["data"]
    assert answer.status == 200
    assert data["email"] == person.email
    assert data["website_url"] == person.company.domain
    assert 0 <= data["score"] <= 100
    assert data["verification"]["status"] == "valid"
    assert answer.headers["X-RateLimit-Limit"] == "300"
    assert int(answer.headers["X-RateLimit-Reset"]) <= 60


async def test_first_and_last_name_ask_the_same_question(client: Client) -> None:
    person = next(one for one in known_to("tomba", client.world) if one.last)
    apart = {"first_name": person.first, "last_name": person.last, "domain": person.company.domain}
    await client.ask("tomba", FIND["tomba"](person))
    answer = await client.ask("tomba", Question("GET", "v1/email-finder", apart))
    assert answer.json["data"]["email"] == person.email
    assert len(client.billed("tomba")) == 1


async def test_a_miss_is_an_object_of_nulls_and_free(client: Client) -> None:
    person = next(not_known_to("tomba", client.world))
    answer = await client.ask("tomba", FIND["tomba"](person))
    assert (answer.status, answer.json["data"]["email"], answer.json["data"]["score"]) == (200, None, 0)
    assert client.billed("tomba") == []


async def test_the_rare_miss_is_an_empty_list(client: Client) -> None:
    await client.switch("tomba", "empty_list")
    answer = await client.ask("tomba", FIND["tomba"](next(not_known_to("tomba", client.world))))
    assert answer.json == {"data": []}


async def test_a_repeated_question_is_free(client: Client) -> None:
    question = FIND["tomba"](next(known_to("tomba", client.world)))
    first = await client.ask("tomba", question)
    second = await client.ask("tomba", question)
    assert first.body == second.body
    assert len(client.billed("tomba")) == 1


async def test_a_repeat_is_free_even_with_nothing_left(client: Client) -> None:
    question = FIND["tomba"](next(known_to("tomba", client.world)))
    await client.set_balance("tomba", 1)
    assert (await client.ask("tomba", question)).status == 200
    assert (await client.ask("tomba", question)).status == 200


async def test_a_profile_finds_its_owner(client: Client) -> None:
    person = next(one for one in known_to("tomba", client.world) if one.linkedin)
    answer = await client.ask("tomba", Question("GET", "v1/linkedin", {"url": person.linkedin + "/"}))
    assert answer.json["data"]["email"] == person.email


@pytest.mark.parametrize("params", [{}, {"domain": "acme.example"}, {"full_name": "Dana Reyes"}])
async def test_missing_parameters_are_400(client: Client, params: dict[str, str]) -> None:
    answer = await client.ask("tomba", Question("GET", "v1/email-finder", params))
    assert answer.status == 400
    assert answer.json["errors"]["code"] == 400


async def test_the_verdict_is_nested_at_data_email(client: Client) -> None:
    person = next(one for one in client.world.people if one.fate is Fate.VALID)
    answer = await client.ask("tomba", Question("GET", f"v1/email-verifier/{person.email}"))
    assert answer.json["data"]["email"]["status"] == "valid"
    assert answer.json["data"]["email"]["result"] == "deliverable"
    assert client.billed("tomba") == [("verify", person.email)]


async def test_both_headers_are_needed(client: Client) -> None:
    headers = {"X-Tomba-Key": client.account("tomba").key}
    answer = await client.send("GET", "/tomba/v1/me", headers=headers)
    assert (answer.status, answer.json["errors"]["type"]) == (401, "unauthorized")


async def test_me_tells_what_is_left(client: Client) -> None:
    await client.set_balance("tomba", 5)
    await client.ask("tomba", FIND["tomba"](next(known_to("tomba", client.world))))
    domains = (await client.ask("tomba", Question("GET", "v1/me"))).json["data"]["requests"]["domains"]
    assert domains["available"] - domains["used"] == 4


async def test_the_quota_used_up_is_429_without_rate_headers(client: Client) -> None:
    await client.set_balance("tomba", 0)
    answer = await client.ask("tomba", FIND["tomba"](next(known_to("tomba", client.world))))
    assert answer.status == 429
    assert client.billed("tomba") == []


async def test_a_blocked_account_is_403(client: Client) -> None:
    await client.control("POST", "accounts/tomba", {"blocked": True})
    answer = await client.ask("tomba", FIND["tomba"](next(known_to("tomba", client.world))))
    assert answer.status == 403


async def test_unknown_routes_and_methods(client: Client) -> None:
    assert (await client.ask("tomba", Question("GET", "v1/nothing"))).status == 404
    assert (await client.ask("tomba", Question("POST", "v1/email-finder"))).status == 405


@pytest.mark.parametrize(
    ("variant", "question", "status"),
    [
        ("smtp_402", "v1/email-verifier/a@b.example", 402),
        ("pending_202", "v1/email-verifier/a@b.example", 202),
    ],
)
async def test_rare_verifier_answers(client: Client, variant: str, question: str, status: int) -> None:
    await client.switch("tomba", variant)
    assert (await client.ask("tomba", Question("GET", question))).status == status


async def test_rare_spellings(client: Client) -> None:
    person = next(known_to("tomba", client.world))
    for variant in ("position_object", "epoch_reset", "error_key", "null_verification"):
        await client.switch("tomba", variant)
    answer = await client.ask("tomba", FIND["tomba"](person))
    assert answer.json["data"]["position"] == {"title": person.title}
    assert answer.json["data"]["verification"] == {"date": None, "status": None}
    assert int(answer.headers["X-RateLimit-Reset"]) > 10**9
    assert "error" in (await client.ask("tomba", Question("GET", "v1/email-finder"))).json
