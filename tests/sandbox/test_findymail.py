import pytest

from sandbox.scenarios import Fate
from tests.sandbox.client import FIND, Client, Question, known_to, not_known_to

JSON = {"Accept": "application/json"}


async def test_a_known_person_is_wrapped_in_contact(client: Client) -> None:
    person = next(known_to("findymail", client.world))
    answer = await client.ask("findymail", FIND["findymail"](person))
    assert answer.status == 200
    assert answer.json["contact"]["email"] == person.email
    assert answer.json["contact"]["domain"] == person.company.domain


async def test_a_company_name_stands_for_the_domain(client: Client) -> None:
    person = next(known_to("findymail", client.world))
    document = {"name": person.name, "domain": person.company.name}
    answer = await client.ask(
        "findymail", Question("POST", "api/search/name", document=document, headers=JSON)
    )
    assert answer.json["contact"]["email"] == person.email


async def test_a_repeat_is_charged_again(client: Client) -> None:
    question = FIND["findymail"](next(known_to("findymail", client.world)))
    await client.ask("findymail", question)
    await client.ask("findymail", question)
    assert len(client.billed("findymail")) == 2


async def test_a_miss_is_a_contact_without_address_and_free(client: Client) -> None:
    answer = await client.ask("findymail", FIND["findymail"](next(not_known_to("findymail", client.world))))
    assert (answer.status, answer.json["contact"]["email"]) == (200, None)
    assert client.billed("findymail") == []


@pytest.mark.parametrize(
    ("variant", "status", "body"),
    [
        ("contact_null", 200, {"contact": None}),
        ("no_contact", 200, {}),
        ("not_found_404", 404, {"message": "No contact found."}),
    ],
)
async def test_rare_misses(client: Client, variant: str, status: int, body: object) -> None:
    await client.switch("findymail", variant)
    answer = await client.ask("findymail", FIND["findymail"](next(not_known_to("findymail", client.world))))
    assert (answer.status, answer.json) == (status, body)


@pytest.mark.parametrize("route", ["linkedin", "business-profile"])
async def test_a_profile_finds_its_owner(client: Client, route: str) -> None:
    person = next(one for one in known_to("findymail", client.world) if one.linkedin)
    document = {"linkedin_url": person.linkedin}
    answer = await client.ask("findymail", Question("POST", f"api/search/{route}", document=document))
    assert answer.json["contact"]["email"] == person.email


async def test_missing_fields_are_422_by_field(client: Client) -> None:
    answer = await client.ask(
        "findymail", Question("POST", "api/search/name", document={"name": "Dana Reyes"})
    )
    assert (answer.status, list(answer.json["errors"])) == (422, ["domain"])


async def test_a_bad_key_is_401_and_403_to_who_does_not_ask_for_json(client: Client) -> None:
    question = Question("GET", "api/credits", headers=JSON)
    answer = await client.ask("findymail", question, signed=False)
    assert (answer.status, answer.json) == (401, {"message": "Unauthenticated."})
    assert (await client.ask("findymail", Question("GET", "api/credits"), signed=False)).status == 403


async def test_no_credits_is_402_or_the_same_words_with_200(client: Client) -> None:
    await client.set_balance("findymail", 0)
    question = FIND["findymail"](next(known_to("findymail", client.world)))
    answer = await client.ask("findymail", question)
    assert (answer.status, answer.json) == (402, {"error": "Not enough credits"})
    await client.switch("findymail", "error_200")
    answer = await client.ask("findymail", question)
    assert (answer.status, answer.json) == (200, {"error": "Not enough credits"})


async def test_a_paused_subscription_is_423(client: Client) -> None:
    await client.control("POST", "accounts/findymail", {"blocked": True})
    answer = await client.ask("findymail", FIND["findymail"](next(known_to("findymail", client.world))))
    assert (answer.status, answer.json) == (423, {"error": "Subscription is paused"})


async def test_verification_is_yes_or_no_and_always_charged(client: Client) -> None:
    valid = next(one for one in client.world.people if one.fate is Fate.VALID)
    for email, verdict in ((valid.email, True), ("nobody@nowhere.example", False)):
        question = Question("POST", "api/verify", document={"email": email})
        assert (await client.ask("findymail", question)).json["verified"] is verdict
    assert len(client.billed("findymail")) == 2


async def test_credits(client: Client) -> None:
    await client.set_balance("findymail", 940)
    answer = await client.ask("findymail", Question("GET", "api/credits"))
    assert answer.json == {"credits": 940, "verifier_credits": 940}
