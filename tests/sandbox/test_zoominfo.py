import asyncio
from typing import Any

import pytest

from sandbox.companies import NEWS
from tests.sandbox.client import Answer, Client, Question, listed_by, not_listed_by, zoominfo_companies


async def post(client: Client, path: str, attributes: dict[str, Any]) -> Answer:
    document = {"data": {"type": "Any", "attributes": attributes}}
    return await client.ask("zoominfo", Question("POST", f"gtm/data/v1/{path}", document=document))


async def jwt(client: Client) -> dict[str, str]:
    env = await client.control("GET", "env")
    document = {"username": env["ZOOMINFO_USERNAME"], "password": env["ZOOMINFO_PASSWORD"]}
    answer = await client.send("POST", "/zoominfo/authenticate", json=document)
    return {"Authorization": f"Bearer {answer.json['jwt']}"}


async def test_a_token_is_issued_to_the_right_client(client: Client) -> None:
    answer = await client.token()
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 86_400)
    answer = await client.token(secret="wrong")
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")


async def test_an_expired_token_is_refused(client: Client) -> None:
    await client.switch("zoominfo", "short_expiry")
    assert (await client.token()).json["expires_in"] == 1
    question = zoominfo_companies([next(listed_by("zoominfo", client.world)).domain])
    assert (await client.ask("zoominfo", question)).status == 200
    await asyncio.sleep(1)
    answer = await client.ask("zoominfo", question)
    assert (answer.status, answer.json["error"]["code"]) == (401, "ZI0001")


async def test_hits_and_misses_come_in_one_batch_paired_by_input(client: Client) -> None:
    company = next(listed_by("zoominfo", client.world))
    missing = next(not_listed_by("zoominfo", client.world))
    answer = await client.ask("zoominfo", zoominfo_companies([missing.domain, company.domain]))
    miss, hit = answer.json["data"]
    assert (miss["type"], miss["meta"]["matchStatus"]) == ("NoMatch", "NO_MATCH")
    assert miss["meta"]["input"] == {"companyWebsite": f"www.{missing.domain}"}
    assert (hit["type"], hit["attributes"]["employeeCount"]) == ("Company", company.employees)
    assert set(hit["attributes"]) == {"id", "name", "employeeCount"}
    assert answer.headers["Content-Type"] == "application/vnd.api+json"
    assert answer.headers["X-RateLimit-Limit-Second"] == "25"
    assert client.billed("zoominfo") == [("companies", company.domain)]


async def test_a_record_under_contract_is_free(client: Client) -> None:
    question = zoominfo_companies([next(listed_by("zoominfo", client.world)).domain])
    await client.ask("zoominfo", question)
    await client.ask("zoominfo", question)
    assert len(client.billed("zoominfo")) == 1


async def test_contacts(client: Client) -> None:
    person = next(one for one in client.world.people if one.email and "zoominfo" in one.company.known_to)
    attributes = {
        "matchPersonInput": [{"emailAddress": person.email}, {"emailAddress": "nobody@nowhere.example"}],
        "outputFields": ["firstName", "education", "employmentHistory"],
    }
    hit, miss = (await post(client, "contacts/enrich", attributes)).json["data"]
    assert hit["attributes"]["firstName"] == person.first
    assert hit["attributes"]["education"][0]["educationDegree"]["degree"]
    assert hit["attributes"]["company"]["name"] == person.company.name
    assert miss["type"] == "NoMatch"
    attributes["requiredFields"] = ["mobilePhone"]
    data = (await post(client, "contacts/enrich", attributes)).json["data"]
    assert [one["type"] for one in data] == ["NoMatch", "NoMatch"]


async def test_intent_is_a_signal_or_an_empty_list(client: Client) -> None:
    loud = next(one for one in listed_by("zoominfo", client.world) if NEWS in one.known_to)
    quiet = next(one for one in listed_by("zoominfo", client.world) if NEWS not in one.known_to)
    for company, signals in ((loud, 1), (quiet, 0)):
        attributes = {"companyWebsite": company.domain, "topics": ["Automation"]}
        answer = await post(client, "intent/enrich?page[number]=1", attributes)
        assert answer.status == 200
        assert len(answer.json["data"]) == answer.json["meta"]["totalResults"] == signals
    assert len(client.billed("zoominfo")) == 1


async def test_technologies_are_asked_by_id(client: Client) -> None:
    company = next(listed_by("zoominfo", client.world))
    answer = await client.ask("zoominfo", zoominfo_companies([company.domain]))
    number = int(answer.json["data"][0]["id"])
    answer = await post(client, "companies/technologies/enrich", {"companyId": number})
    assert [one["attributes"]["product"] for one in answer.json["data"]] == [
        one[0] for one in company.technologies
    ]


@pytest.mark.parametrize(("variant", "code"), [("no_scope", "ZI0002"), ("not_in_contract", "ZI0003")])
@pytest.mark.parametrize("envelope", ["error", "errors"])
async def test_refusals_in_both_envelopes(client: Client, variant: str, code: str, envelope: str) -> None:
    await client.switch("zoominfo", variant)
    if envelope == "errors":
        await client.switch("zoominfo", "title_envelope")
    answer = await client.ask("zoominfo", zoominfo_companies(["a.example"]))
    told = answer.json["error"] if envelope == "error" else answer.json["errors"][0]
    assert (answer.status, told["code"]) == (403, code)


async def test_no_credits_is_a_400(client: Client) -> None:
    await client.set_balance("zoominfo", 0)
    answer = await client.ask(
        "zoominfo", zoominfo_companies([next(listed_by("zoominfo", client.world)).domain])
    )
    assert (answer.status, answer.json["error"]["code"]) == (400, "PFAPI0011")
    answer = await client.ask("zoominfo", zoominfo_companies([]))
    assert (answer.status, answer.json["error"]["code"]) == (400, "PFAPI0001")


async def test_the_26th_request_of_a_second_is_429(client: Client) -> None:
    question = zoominfo_companies(["a.example"])
    answers = [await client.ask("zoominfo", question) for _ in range(26)]
    assert [one.status for one in answers] == [200] * 25 + [429]
    assert answers[-1].json["error"]["code"] == "ZI0004"
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].headers["X-RateLimit-Rejected-Bucket"] == "second"


async def test_a_slow_gateway(client: Client) -> None:
    await client.signature("zoominfo")
    await client.switch("zoominfo", "gateway_504")
    await client.break_something("zoominfo", "server_error")
    answer = await client.ask("zoominfo", zoominfo_companies(["a.example"]))
    assert (answer.status, answer.json["error"]["code"]) == (504, "PFAPI0010")


async def test_the_legacy_api_has_tokens_and_envelopes_of_its_own(client: Client) -> None:
    company = next(listed_by("zoominfo", client.world))
    headers = await jwt(client)
    inputs = [{"companyWebsite": f"http://www.{company.domain}"}, {"companyWebsite": "http://www.a.example"}]
    document = {"matchCompanyInput": inputs, "outputFields": ["name", "techAttributes"]}
    answer = await client.send("POST", "/zoominfo/enrich/company", json=document, headers=headers)
    hit, miss = answer.json["data"]["result"]
    assert hit["input"] == {"companywebsite": f"http://www.{company.domain}"}
    assert hit["data"][0]["name"] == company.name
    assert miss["data"] == []
    gtm = await client.send("POST", "/zoominfo/gtm/data/v1/companies/enrich", json={}, headers=headers)
    assert gtm.status == 401
    intent = {"companyWebsite": company.domain, "topics": ["Automation"]}
    answer = await client.send("POST", "/zoominfo/enrich/intent", json=intent, headers=headers)
    assert "totalResults" in answer.json
    assert (await client.send("POST", "/zoominfo/enrich/company", json={}, headers=headers)).status == 400


async def test_a_wrong_password_gets_no_jwt(client: Client) -> None:
    answer = await client.send("POST", "/zoominfo/authenticate", json={"username": "a", "password": "b"})
    assert answer.status == 401


async def test_usage_is_free(client: Client) -> None:
    await client.set_balance("zoominfo", 9)
    answer = await client.ask("zoominfo", Question("GET", "gtm/data/v1/users/usage"))
    assert answer.json["data"]["attributes"]["usage"][0]["usageRemaining"] == 9
