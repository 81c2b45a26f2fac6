import json
from datetime import datetime

import aiohttp
import pytest

from sandbox.app import serve
from sandbox.options import Options
from tests.sandbox.client import ENRICH, Client, Question, listed_by, not_listed_by

ENRICHMENT = "v5/company/enrich"


async def test_a_match_is_flat_and_in_lower_case(client: Client) -> None:
    company = next(listed_by("people_data_labs", client.world))
    answer = await client.ask("people_data_labs", ENRICH["people_data_labs"](company))
    assert (answer.json["status"], answer.json["name"]) == (200, company.name.lower())
    assert answer.json["website"] == company.domain
    assert "inferred_revenue" not in answer.json
    assert answer.headers["x-call-credits-spent"] == "1"
    assert json.loads(answer.headers["x-ratelimit-limit"]) == {"minute": 1_000}
    assert datetime.fromisoformat(answer.headers["x-ratelimit-reset"]).tzinfo
    titled = Question("GET", ENRICHMENT, {"website": company.domain, "titlecase": "true"})
    assert (await client.ask("people_data_labs", titled)).json["name"] == company.name


@pytest.mark.parametrize("extra", [{}, {"min_likelihood": "10"}, {"required": "inferred_revenue"}])
async def test_misses_are_404_and_free(client: Client, extra: dict[str, str]) -> None:
    listed, not_listed = (next(find("people_data_labs", client.world)) for find in (listed_by, not_listed_by))
    company = listed if extra else not_listed
    question = Question("GET", ENRICHMENT, {"website": company.domain, **extra})
    answer = await client.ask("people_data_labs", question)
    assert (answer.status, answer.json["status"], answer.json["error"]["type"]) == (404, 404, "not_found")
    assert client.billed("people_data_labs") == []


async def test_refusals(client: Client) -> None:
    question = ENRICH["people_data_labs"](next(listed_by("people_data_labs", client.world)))
    answer = await client.ask("people_data_labs", question, signed=False)
    assert (answer.status, answer.json["error"]["type"]) == (401, "authentication_error")
    assert (await client.ask("people_data_labs", Question("GET", ENRICHMENT))).status == 400
    answer = await client.ask("people_data_labs", Question("POST", ENRICHMENT, document={}))
    assert (answer.status, answer.json["error"]["type"]) == (405, "invalid_request_error")
    await client.set_balance("people_data_labs", 0)
    answer = await client.ask("people_data_labs", question)
    assert (answer.status, answer.headers["x-totallimit-remaining"]) == (402, "0")


async def test_over_the_rate() -> None:
    options = Options(latency_ms=0, rate_factor=1 / 1_000)
    async with serve(options) as sandbox, aiohttp.ClientSession() as session:
        client = Client(sandbox, session)
        question = ENRICH["people_data_labs"](next(listed_by("people_data_labs", client.world)))
        answers = [await client.ask("people_data_labs", question) for _ in range(2)]
    assert [one.status for one in answers] == [200, 429]
    assert json.loads(answers[1].headers["x-ratelimit-remaining"]) == {"minute": 0}
    assert "Retry-After" not in answers[1].headers


async def test_bulk_mixes_hits_and_misses(client: Client) -> None:
    company = next(listed_by("people_data_labs", client.world))
    requests = [
        {"metadata": {"lead_id": "17"}, "params": {"website": company.domain}},
        {"metadata": {"lead_id": "18"}, "params": {"website": "unheard-of.example"}},
    ]
    question = Question("POST", f"{ENRICHMENT}/bulk", document={"requests": requests})
    answer = await client.ask("people_data_labs", question)
    assert [(one["metadata"]["lead_id"], one["status"]) for one in answer.json] == [("17", 200), ("18", 404)]
    assert answer.headers["x-call-credits-spent"] == "1"


async def test_rare_answers(client: Client) -> None:
    company = next(listed_by("people_data_labs", client.world))
    for variant in ("low_likelihood", "plain_headers"):
        await client.switch("people_data_labs", variant)
    answer = await client.ask("people_data_labs", ENRICH["people_data_labs"](company))
    assert answer.json["likelihood"] < 6
    assert answer.json["website"] != company.domain
    assert answer.headers["x-ratelimit-limit"] == "1000"
