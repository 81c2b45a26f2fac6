import csv
import io
import tomllib
from decimal import Decimal
from itertools import islice

import aiohttp
import pytest

from sandbox.app import serve
from sandbox.options import Options
from tests.sandbox.client import ENRICH, FIND, VERIFY, Client, known_to, listed_by


async def test_env_has_all_a_client_needs(client: Client) -> None:
    env = await client.control("GET", "env")
    url = client.sandbox.url
    assert env["TOMBA_BASE_URL"] == f"{url}/tomba/v1"
    assert env["FINDYMAIL_BASE_URL"] == f"{url}/findymail"
    assert env["REOON_BASE_URL"] == f"{url}/reoon/api/v1"
    assert env["MAILVERIFY_BASE_URL"] == f"{url}/mailverify/api/v1"
    assert env["APOLLO_BASE_URL"] == f"{url}/apollo/api/v1"
    assert env["BUILTWITH_BASE_URL"] == f"{url}/builtwith"
    assert env["TOMBA_API_SECRET"]
    assert url.endswith(env["PHASE3_SANDBOX_WEB"])
    assert env["VOILA_NORBERT_BASE_URL"] == f"{url}/voila_norbert/2018-01-08"
    assert env["NIMBLER_BASE_URL"] == f"{url}/nimbler/api/v1"
    assert env["ICYPEAS_BASE_URL"] == f"{url}/icypeas/api"
    assert env["ANYMAILFINDER_BASE_URL"] == f"{url}/anymailfinder/v5.1"
    for name in ("MURAENA", "CLEARBIT", "PEOPLE_DATA_LABS"):
        assert env[f"{name}_BASE_URL"] == f"{url}/{name.lower()}"
        assert env[f"{name}_API_KEY"]
    assert env["ZOOMINFO_BASE_URL"] == f"{url}/zoominfo"
    assert env["ZOOMINFO_USERNAME"]


@pytest.mark.parametrize(
    ("chosen", "base"),
    [("", "brave/res/v1"), ("claude", "claude"), ("serper", "serper"), ("tavily", "tavily")],
)
async def test_one_web_search_is_chosen(client: Client, chosen: str, base: str) -> None:
    env = await client.control("GET", f"env?web_search={chosen}" if chosen else "env")
    assert env["WEB_SEARCH_PROVIDER"] == (chosen or "brave")
    assert env["WEB_SEARCH_BASE_URL"] == f"{client.sandbox.url}/{base}"
    assert env["WEB_SEARCH_API_KEY"] == client.account(chosen or "brave").key


async def test_settings_are_prices_enforced_limits_and_an_open_gate() -> None:
    options = Options(latency_ms=0, prices="seed", rate_factor=10)
    async with serve(options) as sandbox, aiohttp.ClientSession() as session:
        answer = await Client(sandbox, session).send("GET", "/_sandbox/settings.toml")
    settings = tomllib.loads(answer.body.decode())
    assert settings["approval"] == {"approvers": ["*"]}
    providers = settings["providers"]
    assert providers["tomba"] == {"price_usd": "0.002000", "per_minute": 3_000}
    assert providers["mailverify"] == {"price_usd": "0.025000"}
    assert providers["builtwith"]["in_flight"] == 8


async def test_leads_and_truth_are_in_the_same_order(client: Client) -> None:
    pages = [(await client.send("GET", f"/_sandbox/{name}.csv")).body for name in ("leads", "truth")]
    leads, truth = (list(csv.DictReader(io.StringIO(page.decode()))) for page in pages)
    columns = "first_name,last_name,email,linkedin_url,title,company_name,company_domain,lead_score,lead_tier"
    assert ",".join(leads[0]) == columns
    assert len(leads) == len(truth) == 421
    for lead, fact in zip(leads, truth, strict=True):
        assert f"{lead['first_name']} {lead['last_name']}".strip() == fact["name"]
        assert lead["company_domain"] == fact["company_domain"]
        assert lead["email"] == ""


async def test_the_campaign_is_the_same_byte_for_byte() -> None:
    pages = []
    for _ in range(2):
        async with serve(Options(seed=3)) as sandbox, aiohttp.ClientSession() as session:
            pages.append((await Client(sandbox, session).send("GET", "/_sandbox/leads.csv")).body)
    assert pages[0] == pages[1]


async def test_requests_that_a_limit_turned_away_are_counted() -> None:
    async with (
        serve(Options(latency_ms=0, rate_factor=1 / 600)) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        client = Client(sandbox, session)
        for person in islice(listed_by("clearbit", client.world), 3):
            await client.ask("clearbit", ENRICH["clearbit"](person))
        told = (await client.control("GET", "bill"))["by_vendor"]["clearbit"]
    assert (told["requests"], told["turned_away"]) == (3, 2)


async def test_the_bill_adds_up(client: Client) -> None:
    person = next(known_to("tomba", client.world))
    await client.ask("tomba", FIND["tomba"](person))
    await client.ask("tomba", FIND["tomba"](person))
    await client.ask("reoon", VERIFY["reoon"](person.email))
    bill = await client.control("GET", "bill")
    of_tomba = {"requests": 2, "turned_away": 0, "billed": 1, "hits": 2, "amount_usd": "0.010000"}
    assert bill["by_vendor"]["tomba"] == of_tomba
    assert bill["by_vendor"]["reoon"]["amount_usd"] == "0.001190"
    assert Decimal(bill["total_usd"]) == Decimal("0.011190")
    rows = (await client.control("GET", "billing"))["rows"]
    assert [row["vendor"] for row in rows] == ["tomba", "reoon"]
    assert rows[0]["question"] == f"{person.name.lower()} | {person.company.domain}"
    assert [row["seq"] for row in (await client.control("GET", "billing?after=1"))["rows"]] == [2]
    asked = (await client.control("GET", "requests"))["rows"]
    assert {row["vendor"]: row["count"] for row in asked} == {"tomba": 2, "reoon": 1}


async def test_no_key_in_questions(client: Client) -> None:
    await client.ask("reoon", VERIFY["reoon"]("a@b.example"))
    answer = await client.send("GET", "/_sandbox/requests")
    assert client.account("reoon").key.encode() not in answer.body


async def test_a_key_can_be_changed(client: Client) -> None:
    question = FIND["findymail"](next(known_to("findymail", client.world)))
    old = client.account("findymail").key
    await client.control("POST", "accounts/findymail", {"key": "another"})
    answer = await client.send(
        "POST",
        "/findymail/api/search/name",
        json=question.document,
        headers={"Authorization": f"Bearer {old}", "Accept": "application/json"},
    )
    assert answer.status == 401
    assert (await client.ask("findymail", question)).status == 200


async def test_wrong_input_is_told(client: Client) -> None:
    for path, document in (
        ("faults", {"vendor": "tomba", "kind": "no such"}),
        ("faults", {"vendor": "no such", "kind": "latency"}),
        ("faults", {"vendor": "tomba", "kind": "latency", "colour": "red"}),
        ("variants", {"vendor": "tomba", "name": "no such"}),
        ("accounts/nobody", {}),
        ("latency", {"vendor": "tomba"}),
    ):
        answer = await client.send("POST", f"/_sandbox/{path}", json=document)
        assert answer.status == 400, path
        assert answer.json["error"]


async def test_an_unknown_vendor_is_404(client: Client) -> None:
    assert (await client.send("GET", "/nobody/v1")).status == 404


async def test_variants_are_listed(client: Client) -> None:
    await client.switch("tomba", "empty_list")
    variants = await client.control("GET", "variants")
    assert variants["tomba"]["empty_list"] is True
    assert variants["findymail"]["no_contact"] is False


async def test_limits_may_be_changed_and_what_they_let_in_is_counted(client: Client) -> None:
    held = {"vendor": "tomba", "per_minute": 2, "sliding": True}
    assert (await client.control("POST", "limits", held))["default"] == {"per_minute": 2}
    people = islice(known_to("tomba", client.world), 3)
    statuses = [(await client.ask("tomba", FIND["tomba"](person))).status for person in people]
    assert statuses == [200, 200, 429]
    traffic = (await client.control("GET", "traffic"))["tomba"]["default"]
    assert (traffic["let_in"], traffic["turned_away"]) == (2, 1)
    assert 0 < traffic["busy_s"] < 60


async def test_limits_are_told_for_every_group_of_operations(client: Client) -> None:
    limits = await client.control("GET", "limits")
    assert limits["icypeas"]["read"] == {"per_minute": 30}
    assert limits["tomba"]["verifier"] == {"per_minute": 150}
    assert limits["mailverify"] == {}


async def test_faults_in_force_are_told(client: Client) -> None:
    await client.break_something("tomba", "latency", count=None, after=3)
    assert await client.control("GET", "faults") == {
        "faults": [
            {
                "vendor": "tomba",
                "kind": "latency",
                "count": None,
                "probability": 1.0,
                "after": 3,
                "operation": None,
                "ms": 1_000.0,
            },
        ],
    }
