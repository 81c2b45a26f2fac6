from typing import Any

import pytest

from sandbox.scenarios import Fate
from tests.sandbox.client import FIND, Answer, Client, Question, known_to, not_known_to

READ = "api/bulk-single-searchs/read"


async def read(client: Client, **document: Any) -> Answer:
    return await client.ask("icypeas", Question("POST", READ, document=document))


async def submitted(client: Client, question: Question) -> str:
    answer = await client.ask("icypeas", question)
    assert answer.json["success"]
    assert "results" not in answer.json["item"]
    return str(answer.json["item"]["_id"])


async def result(client: Client, question: Question) -> Any:
    return (await read(client, id=await submitted(client, question))).json["items"][0]


async def test_a_search_is_submitted_and_read(client: Client) -> None:
    person = next(one for one in known_to("icypeas", client.world) if one.fate is Fate.VALID)
    item = await result(client, FIND["icypeas"](person))
    assert item["status"] == "DEBITED"
    assert item["results"]["emails"][0]["email"] == person.email
    assert item["results"]["emails"][0]["certainty"] == "ultra_sure"
    assert len(client.billed("icypeas")) == 1


async def test_a_repeat_is_charged_again(client: Client) -> None:
    question = FIND["icypeas"](next(known_to("icypeas", client.world)))
    await submitted(client, question)
    await submitted(client, question)
    assert len(client.billed("icypeas")) == 2


@pytest.mark.parametrize(
    ("variant", "status"),
    [
        ("", "NOT_FOUND"),
        ("debited_not_found", "DEBITED_NOT_FOUND"),
        ("aborted", "ABORTED"),
        ("never_done", "IN_PROGRESS"),
    ],
)
async def test_a_miss_ends_without_addresses(client: Client, variant: str, status: str) -> None:
    if variant:
        await client.switch("icypeas", variant)
    item = await result(client, FIND["icypeas"](next(not_known_to("icypeas", client.world))))
    assert (item["status"], item["results"]["emails"]) == (status, [])
    assert client.billed("icypeas") == []


async def test_a_search_that_was_aborted_was_never_looked_for_and_costs_nothing(client: Client) -> None:
    await client.switch("icypeas", "aborted")
    item = await result(client, FIND["icypeas"](next(known_to("icypeas", client.world))))
    assert (item["status"], item["results"]["emails"]) == ("ABORTED", [])
    assert client.billed("icypeas") == []


async def test_rare_answers(client: Client) -> None:
    for variant in ("found_not_debited", "certainty_not_found", "submit_scheduled"):
        await client.switch("icypeas", variant)
    hit = await result(client, FIND["icypeas"](next(known_to("icypeas", client.world))))
    assert hit["status"] == "FOUND"
    miss = await result(client, FIND["icypeas"](next(not_known_to("icypeas", client.world))))
    assert miss["results"]["emails"][0]["certainty"] == "not_found"
    await client.switch("icypeas", "unpaid")
    answer = await client.ask("icypeas", FIND["icypeas"](next(known_to("icypeas", client.world))))
    assert answer.json == {"success": False, "error": "UnpaidSubscriptionError"}


async def test_an_empty_account_shows_in_the_item(client: Client) -> None:
    await client.set_balance("icypeas", 0)
    item = await result(client, FIND["icypeas"](next(known_to("icypeas", client.world))))
    assert (item["status"], item["results"]["emails"]) == ("INSUFFICIENT_FUNDS", [])
    assert client.billed("icypeas") == []


async def test_a_fault_of_credits_is_that_of_an_empty_account_and_strikes_no_reading(client: Client) -> None:
    person = next(known_to("icypeas", client.world))
    earlier = await submitted(client, FIND["icypeas"](person))
    await client.break_something("icypeas", "out_of_credits", count=None)
    rows = [[person.first, person.last, person.company.domain]]
    document = {"name": "spring", "task": "email-search", "data": rows}
    taken = await client.ask("icypeas", Question("POST", "api/bulk-search", document=document))
    (in_file,) = (await read(client, mode="bulk", file=taken.json["file"])).json["items"]
    items = [await result(client, FIND["icypeas"](person)), in_file]
    assert [one["status"] for one in items] == ["INSUFFICIENT_FUNDS"] * 2
    assert (await read(client, id=earlier)).json["items"][0]["status"] == "DEBITED"
    assert (client.account("icypeas").balance, len(client.billed("icypeas"))) == (None, 1)


async def test_a_search_is_found_again_by_our_own_number(client: Client) -> None:
    person = next(known_to("icypeas", client.world))
    question = FIND["icypeas"](person)
    document = {**question.document, "custom": {"externalId": "row-17"}}
    number = await submitted(client, Question("POST", question.path, document=document))
    item = (await read(client, externalId="row-17")).json["items"][0]
    assert (item["_id"], item["userData"]["externalId"]) == (number, "row-17")


async def test_an_unknown_number(client: Client) -> None:
    assert (await read(client, id="nobody")).json == {"success": False, "error": "SearchNotFoundError"}


@pytest.mark.parametrize(
    ("document", "field"), [({}, "domainOrCompany"), ({"domainOrCompany": "a.example"}, "firstname")]
)
async def test_bad_input_is_a_200(client: Client, document: dict[str, str], field: str) -> None:
    answer = await client.ask("icypeas", Question("POST", "api/email-search", document=document))
    assert (answer.status, answer.json["success"]) == (200, False)
    assert answer.json["validationErrors"][0]["field"] == field


async def test_a_bad_key_is_401(client: Client) -> None:
    assert (
        await client.ask("icypeas", Question("POST", READ, document={"id": "x"}), signed=False)
    ).status == 401


async def test_reading_has_a_budget_of_30_a_minute(client: Client) -> None:
    statuses = [(await read(client, id="nobody")).status for _ in range(31)]
    assert statuses == [200] * 30 + [429]


async def test_a_check_costs_a_tenth(client: Client) -> None:
    await client.set_balance("icypeas", 1)
    valid = next(one for one in client.world.people if one.fate is Fate.VALID)
    for email, certainty in ((valid.email, "ultra_sure"), ("a@nowhere.example", "undeliverable")):
        item = await result(client, Question("POST", "api/email-verification", document={"email": email}))
        assert item["results"]["emails"][0]["certainty"] == certainty
    bill = await client.control("GET", "bill")
    assert bill["by_vendor"]["icypeas"]["amount_usd"] == "0.001800"
    page = await client.ask(
        "icypeas", Question("POST", "api/a/actions/subscription-information", document={})
    )
    assert page.json["credits"] == 0.8


async def test_a_file_keeps_the_order_of_its_rows_and_is_read_in_pages(client: Client) -> None:
    people = [*client.world.people[:5]]
    rows = [[one.first, one.last, one.company.domain] for one in people]
    ids = [f"row-{number}" for number in range(5)]
    document = {"name": "spring", "task": "email-search", "data": rows, "custom": {"externalIds": ids}}
    taken = await client.ask("icypeas", Question("POST", "api/bulk-search", document=document))
    file = taken.json["file"]
    assert taken.json == {"success": True, "file": file, "status": "in_progress"}
    state = await client.ask("icypeas", Question("POST", "api/search-files/read", document={"file": file}))
    assert state.json["files"][0]["finished"] is True
    first = (await read(client, mode="bulk", file=file, limit=3)).json
    second = (await read(client, mode="bulk", file=file, limit=3, next=True, sorts=first["sorts"])).json
    third = (await read(client, mode="bulk", file=file, limit=3, next=True, sorts=second["sorts"])).json
    items = first["items"] + second["items"] + third["items"]
    assert [one["userData"]["externalId"] for one in items] == ids
    assert first["total"] == 5
    found = [one["results"]["emails"][0]["email"] if one["results"]["emails"] else None for one in items]
    assert found == [one.email if "icypeas" in one.finders else None for one in people]
    assert len(client.billed("icypeas")) == sum("icypeas" in one.finders for one in people)


async def test_files_are_listed_newest_first_under_the_names_that_they_were_given(client: Client) -> None:
    await client.control("POST", "limits", {"vendor": "icypeas", "group": "bulk"})
    names = [f"spring-{number}" for number in range(4)]
    document = {"task": "email-search", "data": [["Dana", "Reyes", "acme.example"]]}
    for name in names:
        await client.ask("icypeas", Question("POST", "api/bulk-search", document={**document, "name": name}))
    listed = await client.ask("icypeas", Question("POST", "api/search-files/read", document={"limit": 3}))
    assert [one["name"] for one in listed.json["files"]] == names[:0:-1]


@pytest.mark.parametrize("data", [[], [["Dana"]], "rows"])
async def test_a_bad_file_is_refused(client: Client, data: object) -> None:
    document = {"name": "spring", "task": "email-search", "data": data}
    answer = await client.ask("icypeas", Question("POST", "api/bulk-search", document=document))
    assert answer.json["success"] is False
