"""The reference scenario, asked for over the wire by the plainest possible waterfall."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sandbox.app import serve
from sandbox.options import Options
from sandbox.people import Person
from tests.sandbox.client import FIND, VERIFY, Client, Question

ORDER = ["tomba", "muraena", "voila_norbert", "nimbler", "icypeas", "anymailfinder", "findymail"]


@pytest.fixture
async def unlimited() -> AsyncIterator[Client]:
    options = Options(latency_ms=0, rate_factor=0, prices="seed")
    async with serve(options) as sandbox, aiohttp.ClientSession() as session:
        yield Client(sandbox, session)


async def found(client: Client, vendor: str, person: Person) -> str | None:
    question = FIND[vendor](person)
    if vendor == "nimbler" and not person.last:
        question = Question("POST", question.path, document={"linkedinUrl": person.linkedin})
    answer = await client.ask(vendor, question)
    body: Any = answer.json
    match vendor:
        case "tomba":
            email = body["data"]["email"]
        case "muraena":
            email = next((one["email"] for one in body["results"]), None)
        case "voila_norbert":
            contact = (await client.ask(vendor, Question("GET", f"2018-01-08/contacts/{body['id']}"))).json
            email = (contact["email"] or {}).get("email")
        case "nimbler":
            email = body.get("contactEmail")
        case "icypeas":
            read = Question("POST", "api/bulk-single-searchs/read", document={"id": body["item"]["_id"]})
            emails = (await client.ask(vendor, read)).json["items"][0]["results"]["emails"]
            email = emails[0]["email"] if emails else None
        case "anymailfinder":
            email = body["valid_email"]
        case _:
            email = body["contact"]["email"]
    return str(email) if email else None


async def accepted(client: Client, email: str) -> bool:
    verdict = (await client.ask("reoon", VERIFY["reoon"](email))).json["status"]
    if verdict != "catch_all":
        return bool(verdict == "safe")
    second = (await client.ask("mailverify", VERIFY["mailverify"](email))).json["data"]
    return bool(second["status"] == "DELIVERABLE")


async def outcome(client: Client, person: Person) -> tuple[str, bool]:
    first = ""
    for vendor in ORDER:
        email = await found(client, vendor, person)
        first = first or (vendor if email else "")
        if email and await accepted(client, email):
            return first, True
    return first, False


@pytest.mark.slow
async def test_a_fixed_waterfall_yields_the_reported_counts(unlimited: Client) -> None:
    outcomes = [await outcome(unlimited, person) for person in unlimited.world.people]
    firsts = Counter(first for first, _ in outcomes)
    assert [firsts[vendor] for vendor in ORDER] == [180, 85, 52, 31, 21, 12, 4]
    assert sum(verdict for _, verdict in outcomes) == 350
    bill = (await unlimited.control("GET", "bill"))["by_vendor"]
    assert [bill[vendor]["hits"] for vendor in ORDER] == [180, 85, 52, 31, 21, 12, 4]
    assert bill["reoon"]["billed"] == 385
    assert bill["mailverify"]["billed"] == 51
