import asyncio

import aiohttp

from sandbox.app import serve
from sandbox.options import Options
from sandbox.scenarios import Fate
from tests.sandbox.client import FIND, Client, Question, known_to, not_known_to


def contact(number: int) -> Question:
    return Question("GET", f"2018-01-08/contacts/{number}")


async def test_a_search_is_started_and_read(client: Client) -> None:
    person = next(one for one in known_to("voila_norbert", client.world) if one.fate is Fate.VALID)
    started = (await client.ask("voila_norbert", FIND["voila_norbert"](person))).json
    assert (started["searching"], started["email"], started["is_new"]) == (True, None, True)
    assert started["company"]["url"] == person.company.domain
    answer = await client.ask("voila_norbert", contact(started["id"]))
    assert answer.json["email"] == {"email": person.email, "score": 100}
    assert (answer.json["searching"], answer.json["messages"]) == (False, [])
    assert int(answer.headers["X-RateLimit-Reset"]) > 10**9
    assert len(client.billed("voila_norbert")) == 1


async def test_a_search_takes_its_time() -> None:
    async with serve(Options(latency_ms=20)) as sandbox, aiohttp.ClientSession() as session:
        client = Client(sandbox, session)
        started = (
            await client.ask(
                "voila_norbert", FIND["voila_norbert"](next(known_to("voila_norbert", client.world)))
            )
        ).json
        assert (await client.ask("voila_norbert", contact(started["id"]))).json["searching"]
        await asyncio.sleep(0.06)
        assert not (await client.ask("voila_norbert", contact(started["id"]))).json["searching"]


async def test_the_same_contact_again_is_free_and_done(client: Client) -> None:
    question = FIND["voila_norbert"](next(known_to("voila_norbert", client.world)))
    first = (await client.ask("voila_norbert", question)).json
    again = (await client.ask("voila_norbert", question)).json
    assert (again["id"], again["is_new"], again["searching"]) == (first["id"], False, False)
    assert again["email"]
    assert len(client.billed("voila_norbert")) == 1


async def test_a_miss_is_done_without_address_and_free(client: Client) -> None:
    question = FIND["voila_norbert"](next(not_known_to("voila_norbert", client.world)))
    started = (await client.ask("voila_norbert", question)).json
    done = (await client.ask("voila_norbert", contact(started["id"]))).json
    assert (done["searching"], done["email"]) == (False, None)
    assert client.billed("voila_norbert") == []


async def test_a_company_nobody_can_locate_is_400(client: Client) -> None:
    form = {"name": "Dana Reyes", "domain": "unheard-of.example"}
    assert (
        await client.ask("voila_norbert", Question("POST", "2018-01-08/search/name", form=form))
    ).status == 400


async def test_refusals(client: Client) -> None:
    question = FIND["voila_norbert"](next(known_to("voila_norbert", client.world)))
    assert (await client.ask("voila_norbert", question, signed=False)).status == 401
    await client.set_balance("voila_norbert", 0)
    assert (await client.ask("voila_norbert", question)).status == 402
    assert (await client.ask("voila_norbert", contact(1))).status == 404


async def test_the_account_tells_what_remains(client: Client) -> None:
    await client.set_balance("voila_norbert", 12)
    page = (await client.ask("voila_norbert", Question("GET", "2018-01-08/account/"))).json
    assert page["credits"]["remains"] == 12
    page = (await client.ask("voila_norbert", Question("GET", "2018-01-08/organization/credits"))).json
    assert page["remains"] == 12


async def test_rare_answers(client: Client) -> None:
    question = FIND["voila_norbert"](next(known_to("voila_norbert", client.world)))
    await client.switch("voila_norbert", "status_202")
    await client.switch("voila_norbert", "outside_source")
    started = await client.ask("voila_norbert", question)
    assert started.status == 202
    assert (await client.ask("voila_norbert", contact(started.json["id"]))).json["email"]["score"] == 5
    await client.switch("voila_norbert", "never_done")
    assert (await client.ask("voila_norbert", contact(started.json["id"]))).json["searching"]
