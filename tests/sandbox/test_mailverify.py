import pytest

from sandbox.scenarios import Fate
from tests.sandbox.client import VERIFY, Client, Question


@pytest.mark.parametrize(
    ("fate", "statuses", "catch_all"),
    [
        (Fate.VALID, {"DELIVERABLE"}, False),
        (Fate.RISKY, {"DELIVERABLE"}, True),
        (Fate.DOUBTFUL, {"UNKNOWN", "UNDELIVERABLE"}, True),
        (Fate.DEAD, {"UNKNOWN", "UNDELIVERABLE"}, False),
    ],
)
async def test_the_verdict_stands_at_data_status(
    client: Client, *, fate: Fate, statuses: set[str], catch_all: bool
) -> None:
    for person in client.world.people:
        if person.fate is fate:
            data = (await client.ask("mailverify", VERIFY["mailverify"](person.email))).json["data"]
            assert data["status"] in statuses
            assert data["catch_all"] is catch_all


async def test_every_verification_is_charged(client: Client) -> None:
    for _ in range(2):
        await client.ask("mailverify", VERIFY["mailverify"]("a@nowhere.example"))
    assert client.billed("mailverify") == [("verify", "a@nowhere.example")] * 2


async def test_refusals(client: Client) -> None:
    question = VERIFY["mailverify"]("a@nowhere.example")
    assert (await client.ask("mailverify", question, signed=False)).status == 401
    await client.set_balance("mailverify", 0)
    answer = await client.ask("mailverify", question)
    assert (answer.status, list(answer.json)) == (402, ["message"])
    assert (
        await client.ask("mailverify", Question("POST", "api/v1/verify/single", document={}))
    ).status == 400


async def test_credits_fall_with_each_verification(client: Client) -> None:
    await client.set_balance("mailverify", 10)
    await client.ask("mailverify", VERIFY["mailverify"]("a@nowhere.example"))
    left = await client.ask("mailverify", Question("GET", "api/v1/user/credits_left"))
    assert left.json == {"creditsLeft": 9, "creditsLimit": 10, "addonCreditsLeft": 0}
    details = await client.ask("mailverify", Question("GET", "api/v1/user/details"))
    assert details.json["userDetails"]["creditsLeft"] == 9


async def test_history_is_in_camel_case(client: Client) -> None:
    await client.ask("mailverify", VERIFY["mailverify"]("a@nowhere.example"))
    params = {"emailId": "a@nowhere.example"}
    past = await client.ask("mailverify", Question("GET", "api/v1/verify/single_emails", params))
    assert past.json["count"] == 1
    assert past.json["emails"][0]["validationStatus"] == "UNDELIVERABLE"
    assert past.json["emails"][0]["catchAll"] is False


async def test_rare_answers(client: Client) -> None:
    risky = next(one for one in client.world.people if one.fate is Fate.RISKY)
    question = VERIFY["mailverify"](risky.email)
    await client.switch("mailverify", "client_words")
    assert (await client.ask("mailverify", question)).json["data"]["status"] == "ACCEPT_ALL"
    await client.switch("mailverify", "risky_status")
    assert (await client.ask("mailverify", question)).json["data"]["status"] == "RISKY"
    await client.switch("mailverify", "no_status")
    assert "status" not in (await client.ask("mailverify", question)).json["data"]
