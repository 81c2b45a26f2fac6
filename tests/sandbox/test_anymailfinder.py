import pytest

from sandbox.scenarios import Fate
from tests.sandbox.client import FIND, Client, Question, known_to, not_known_to


async def test_a_valid_address_is_charged_and_says_so(client: Client) -> None:
    person = next(known_to("anymailfinder", client.world))
    answer = await client.ask("anymailfinder", FIND["anymailfinder"](person))
    assert answer.json["email"] == answer.json["valid_email"] == person.email
    assert (answer.json["email_status"], answer.json["credits_charged"]) == ("valid", 1)
    assert len(client.billed("anymailfinder")) == 1


async def test_a_repeat_is_free_and_says_so(client: Client) -> None:
    question = FIND["anymailfinder"](next(known_to("anymailfinder", client.world)))
    await client.ask("anymailfinder", question)
    assert (await client.ask("anymailfinder", question)).json["credits_charged"] == 0
    assert len(client.billed("anymailfinder")) == 1


async def test_a_miss_has_the_same_shape(client: Client) -> None:
    answer = await client.ask(
        "anymailfinder", FIND["anymailfinder"](next(not_known_to("anymailfinder", client.world)))
    )
    assert answer.json == {
        "credits_charged": 0,
        "email": None,
        "email_status": "not_found",
        "person_company_name": None,
        "person_full_name": None,
        "person_job_title": None,
        "valid_email": None,
    }


async def test_a_profile_is_a_fallback_and_a_route_of_its_own(client: Client) -> None:
    person = next(one for one in known_to("anymailfinder", client.world) if one.linkedin)
    for path, document in (
        (
            "v5.1/find-email/person",
            {"full_name": "Nobody Known", "domain": "a.example", "linkedin_url": person.linkedin},
        ),
        ("v5.1/find-email/linkedin-url", {"linkedin_url": person.linkedin}),
    ):
        answer = await client.ask("anymailfinder", Question("POST", path, document=document))
        assert answer.json["email"] == person.email


@pytest.mark.parametrize(
    ("variant", "status"), [("risky_catch_all", "risky"), ("blacklisted", "blacklisted")]
)
async def test_other_statuses_are_free(client: Client, variant: str, status: str) -> None:
    await client.switch("anymailfinder", variant)
    person = next(one for one in known_to("anymailfinder", client.world) if one.company.catch_all)
    answer = await client.ask("anymailfinder", FIND["anymailfinder"](person))
    assert (answer.json["email_status"], answer.json["valid_email"]) == (status, None)
    assert (answer.json["email"] == person.email) == (status == "risky")
    assert client.billed("anymailfinder") == []


async def test_a_check_costs_a_fifth_once(client: Client) -> None:
    valid = next(one for one in client.world.people if one.fate is Fate.VALID)
    question = Question("POST", "v5.1/verify-email", document={"email": valid.email})
    assert (await client.ask("anymailfinder", question)).json == {
        "credits_charged": 0.2,
        "email_status": "valid",
    }
    assert (await client.ask("anymailfinder", question)).json == {
        "credits_charged": 0,
        "email_status": "valid",
    }


async def test_refusals(client: Client) -> None:
    question = FIND["anymailfinder"](next(known_to("anymailfinder", client.world)))
    assert (await client.ask("anymailfinder", question, signed=False)).status == 401
    await client.set_balance("anymailfinder", 0)
    answer = await client.ask("anymailfinder", question)
    assert (answer.status, set(answer.json)) == (402, {"error", "message"})
    bad = Question("POST", "v5.1/find-email/person", document={"domain": "a.example"})
    answer = await client.ask("anymailfinder", bad)
    assert (answer.status, answer.json["error"]) == (400, "bad_request")
    await client.switch("anymailfinder", "error_object")
    assert (await client.ask("anymailfinder", bad)).json["error"]["message"]
    await client.switch("anymailfinder", "old_errors")
    assert (await client.ask("anymailfinder", bad)).json["error_explained"]


async def test_bearer_still_works(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.account('anymailfinder').key}"}
    await client.set_balance("anymailfinder", 412)
    answer = await client.send("GET", "/anymailfinder/v5.1/account", headers=headers)
    assert answer.json == {"email": "ops@buyer.example", "credits_left": 412}
