import pytest

from tests.sandbox.client import FIND, Client, Question, known_to, not_known_to

REVEAL = "api/client_api/reveal/"


async def test_a_known_person_is_in_the_list(client: Client) -> None:
    person = next(known_to("muraena", client.world))
    answer = await client.ask("muraena", FIND["muraena"](person))
    assert [one["email"] for one in answer.json["results"]] == [person.email]
    assert len(client.billed("muraena")) == 1


async def test_without_reveal_there_is_no_address_and_no_charge(client: Client) -> None:
    person = next(known_to("muraena", client.world))
    question = FIND["muraena"](person)
    bare = Question(question.method, question.path, document={**question.document, "reveal": False})
    answer = await client.ask("muraena", bare)
    assert answer.json["results"][0]["email"] is None
    assert client.billed("muraena") == []


async def test_misses(client: Client) -> None:
    person = next(one for one in not_known_to("muraena", client.world) if one.linkedin)
    answer = await client.ask("muraena", FIND["muraena"](person))
    assert (answer.status, answer.json) == (200, {"results": []})
    answer = await client.ask("muraena", Question("GET", REVEAL, {"linkedin_url": person.linkedin}))
    assert answer.status == 404
    assert client.billed("muraena") == []


async def test_reveal_is_flat(client: Client) -> None:
    person = next(one for one in known_to("muraena", client.world) if one.linkedin)
    for params in ({"linkedin_url": person.linkedin}, {"email": person.email}):
        assert (await client.ask("muraena", Question("GET", REVEAL, params))).json["email"] == person.email


async def test_refusals(client: Client) -> None:
    question = FIND["muraena"](next(known_to("muraena", client.world)))
    answer = await client.ask("muraena", question, signed=False)
    assert (answer.status, list(answer.json)) == (401, ["detail"])
    await client.set_balance("muraena", 0)
    assert (await client.ask("muraena", question)).status == 402
    assert (
        await client.ask("muraena", Question("POST", question.path, document={"filters": {}}))
    ).status == 400
    await client.break_something("muraena", "rate_limited")
    answer = await client.ask("muraena", question)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")


async def test_a_missing_slash_is_a_wrong_path(client: Client) -> None:
    question = Question("POST", "api/client_api/search", document={})
    assert (await client.ask("muraena", question)).status == 404
    await client.switch("muraena", "html_404")
    assert (await client.ask("muraena", question)).headers["Content-Type"].startswith("text/html")


async def test_balance(client: Client) -> None:
    await client.set_balance("muraena", 9_210)
    answer = await client.ask("muraena", Question("GET", "user/client_api/balance/"))
    assert answer.json == {"balance": 9_210, "plan": "business"}


async def test_rare_shapes(client: Client) -> None:
    person = next(known_to("muraena", client.world))
    await client.switch("muraena", "several_results")
    several = (await client.ask("muraena", FIND["muraena"](person))).json["results"]
    assert [one["email"] for one in several] == [None, person.email]
    await client.switch("muraena", "other_names")
    assert "job_title" in (await client.ask("muraena", FIND["muraena"](person))).json["results"][0]


@pytest.mark.parametrize("variant", ["no_email"])
async def test_a_profile_without_address_is_not_charged(client: Client, variant: str) -> None:
    await client.switch("muraena", variant)
    answer = await client.ask("muraena", FIND["muraena"](next(known_to("muraena", client.world))))
    assert answer.json["results"][0]["email"] is None
    assert client.billed("muraena") == []
