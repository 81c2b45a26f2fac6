from tests.sandbox.client import FIND, Client, Question, known_to, not_known_to

APPEND = "api/v1/append/contact"


async def test_a_record_is_a_bare_object(client: Client) -> None:
    person = next(one for one in known_to("nimbler", client.world) if one.last and one.linkedin)
    for question in (
        FIND["nimbler"](person),
        Question("POST", APPEND, document={"linkedinUrl": person.linkedin}),
        Question("POST", APPEND, document={"emailAddress": person.email}),
    ):
        answer = await client.ask("nimbler", question)
        assert answer.json["contactEmail"] == person.email
        assert answer.json["companyDomain"] == person.company.domain
    assert len(client.billed("nimbler")) == 3


async def test_the_company_is_a_name_and_never_a_domain(client: Client) -> None:
    person = next(one for one in known_to("nimbler", client.world) if one.last)
    document = {"firstName": person.first, "lastName": person.last, "company": person.company.domain}
    assert (await client.ask("nimbler", Question("POST", APPEND, document=document))).status == 404


async def test_a_miss_is_404_in_json_a_wrong_path_is_a_page(client: Client) -> None:
    answer = await client.ask("nimbler", FIND["nimbler"](next(not_known_to("nimbler", client.world))))
    assert answer.status == 404
    assert answer.json["message"]
    answer = await client.ask("nimbler", Question("POST", "v1/append/contact", document={}))
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert client.billed("nimbler") == []


async def test_refusals(client: Client) -> None:
    question = FIND["nimbler"](next(one for one in known_to("nimbler", client.world) if one.last))
    assert (await client.ask("nimbler", question, signed=False)).status == 401
    await client.switch("nimbler", "bad_key_403")
    assert (await client.ask("nimbler", question, signed=False)).status == 403
    assert (
        await client.ask("nimbler", Question("POST", APPEND, document={"firstName": "Dana"}))
    ).status == 400
    await client.set_balance("nimbler", 0)
    assert (await client.ask("nimbler", question)).status == 402


async def test_rare_shapes(client: Client) -> None:
    person = next(one for one in known_to("nimbler", client.world) if one.last)
    for variant in ("miss_200", "level_list", "personal_only"):
        await client.switch("nimbler", variant)
    record = (await client.ask("nimbler", FIND["nimbler"](person))).json
    assert record["contactEmail"] is None
    assert record["contactPersonalEmail"]
    assert isinstance(record["contactTitleLevel"], list)
    answer = await client.ask("nimbler", FIND["nimbler"](next(not_known_to("nimbler", client.world))))
    assert (answer.status, answer.json) == (200, {})
