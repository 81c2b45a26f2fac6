import asyncio

import pytest

from sandbox.scenarios import Fate
from tests.sandbox.client import VERIFY, Client, Question

POWER_ONLY = {"overall_score", "is_safe_to_send", "is_catch_all", "is_disabled", "has_inbox_full"}


def task(number: object) -> Question:
    return Question("GET", "api/v1/get-result-bulk-verification-task/", {"task_id": str(number)})


async def test_power_mode_tells_the_truth(client: Client) -> None:
    for person in client.world.people:
        if person.fate is Fate.DEAD:
            answer = await client.ask("reoon", VERIFY["reoon"](person.email))
            assert answer.json["status"] == client.world.reoon(person.email)
            assert not answer.json["is_safe_to_send"]


async def test_a_real_mailbox_is_safe(client: Client) -> None:
    person = next(one for one in client.world.people if one.fate is Fate.VALID)
    answer = await client.ask("reoon", VERIFY["reoon"](person.email.upper()))
    assert (answer.status, answer.json["status"], answer.json["verification_mode"]) == (200, "safe", "power")
    assert answer.json["overall_score"] == 98


async def test_quick_mode_does_not_look_at_the_mailbox(client: Client) -> None:
    company = next(one for one in client.world.companies if one.has_mail and not one.catch_all)
    params = {"email": f"no.such.person@{company.domain}"}
    answer = await client.ask("reoon", Question("GET", "api/v1/verify", params))
    assert answer.json["status"] == "valid"
    assert not POWER_ONLY & set(answer.json)


async def test_every_verification_is_charged(client: Client) -> None:
    for _ in range(2):
        await client.ask("reoon", VERIFY["reoon"]("nobody@nowhere.example"))
    assert client.billed("reoon") == [("verify", "nobody@nowhere.example")] * 2


@pytest.mark.parametrize(("variant", "status"), [("", 200), ("error_4xx", 401)])
async def test_a_bad_key_is_an_error_inside_a_200(client: Client, variant: str, status: int) -> None:
    if variant:
        await client.switch("reoon", variant)
    answer = await client.ask("reoon", VERIFY["reoon"]("a@b.example"), signed=False)
    assert (answer.status, answer.json["status"]) == (status, "error")
    assert "key" in answer.json["reason"]


async def test_no_credits_is_an_error_inside_a_200(client: Client) -> None:
    await client.set_balance("reoon", 0)
    answer = await client.ask("reoon", VERIFY["reoon"]("a@b.example"))
    assert (answer.status, answer.json["status"]) == (200, "error")
    assert "credit" in answer.json["reason"].lower()
    assert client.billed("reoon") == []


async def test_a_sixth_call_at_once_is_too_many(client: Client) -> None:
    await client.control("POST", "latency", {"vendor": "reoon", "ms": 100})
    question = VERIFY["reoon"]("a@b.example")
    answers = await asyncio.gather(*(client.ask("reoon", question) for _ in range(6)))
    refused = [one.json["reason"] for one in answers if one.json["status"] == "error"]
    assert len(refused) == 1
    assert "limit" in refused[0]
    assert not {"key", "auth", "credit"} & set(refused[0].lower().split())


async def test_a_bulk_task_is_created_polled_and_read(client: Client) -> None:
    valid = next(one.email for one in client.world.people if one.fate is Fate.VALID)
    document = {"name": "spring", "emails": [valid, valid, "no address", "a@nowhere.example"]}
    made = await client.ask(
        "reoon", Question("POST", "api/v1/create-bulk-verification-task/", document=document)
    )
    assert made.status == 201
    assert made.json == {
        "status": "success",
        "task_id": 4242,
        "count_submitted": 4,
        "count_duplicates_removed": 1,
        "count_rejected_emails": 1,
        "count_processing": 2,
    }
    read = (await client.ask("reoon", task(4242))).json
    assert (read["task_id"], read["status"], read["progress_percentage"]) == ("4242", "completed", 100.0)
    assert read["results"][valid]["status"] == "safe"
    assert read["results"]["a@nowhere.example"]["status"] == "invalid"
    assert len(client.billed("reoon")) == 2


async def test_results_are_missing_until_completed(client: Client) -> None:
    await client.switch("reoon", "stuck_task")
    document = {"name": "spring", "emails": ["a@nowhere.example"]}
    made = await client.ask(
        "reoon", Question("POST", "api/v1/create-bulk-verification-task/", document=document)
    )
    read = (await client.ask("reoon", task(made.json["task_id"]))).json
    assert read["status"] == "running"
    assert "results" not in read
    await client.switch("reoon", "task_error")
    assert (await client.ask("reoon", task(made.json["task_id"]))).json["status"] == "file_loading_error"


async def test_an_unknown_task_is_an_error(client: Client) -> None:
    assert (await client.ask("reoon", task(1))).json["status"] == "error"


async def test_balance(client: Client) -> None:
    await client.set_balance("reoon", 9_500)
    answer = await client.ask("reoon", Question("GET", "api/v1/check-account-balance/"))
    assert answer.json["remaining_instant_credits"] == 9_500
    await client.switch("reoon", "null_credits")
    answer = await client.ask("reoon", Question("GET", "api/v1/check-account-balance/"))
    assert answer.json["remaining_instant_credits"] is None
