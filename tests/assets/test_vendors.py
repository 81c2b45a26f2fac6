"""`phase3 providers` over a socket: who is usable, what is left, how good they were, a probe with a cap."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

import sandbox.app
from phase3_assets.vendors import Probe, asked_of_all, provider_table, rows_of
from phase3_core.breaker import Failed
from phase3_core.errors import BadInput
from phase3_core.money import usd
from resources.assembly import postgres_ledger
from resources.clock import SystemClock
from resources.postgres.breakers import PostgresBreakers
from resources.postgres.database import PostgresDatabase
from resources.providers.source import VendorSource
from resources.settings import Settings
from sandbox.options import Options

PROBE = Probe("nobody@acme.example", "No Body", usd("0.50"))


@pytest.fixture
async def box() -> AsyncIterator[sandbox.app.Sandbox]:
    async with sandbox.app.serve(Options(latency_ms=0, rate_factor=1000)) as running:
        yield running


def source(box: sandbox.app.Sandbox, *names: str) -> VendorSource:
    """Only these vendors have keys."""
    environment: dict[str, str] = {}
    for name in names:
        vendor = box.parts.vendors[name]
        environment |= vendor.env(f"{box.url}/{name}{vendor.base}")
    return VendorSource(Settings(), environment, postgres_ledger(3600.0), SystemClock())


def named(rows: list[dict[str, Any]], provider: str) -> dict[str, Any]:
    return next(row for row in rows if row["provider"] == provider)


async def test_who_has_no_key_is_told_what_to_set(box: sandbox.app.Sandbox, database_url: str) -> None:
    rows = await rows_of(database_url, source(box, "tomba"), None)
    assert named(rows, "tomba")["usable"]
    assert "FINDYMAIL_API_KEY" in named(rows, "findymail")["why_not"]


@pytest.mark.parametrize(
    "provider", ["tomba", "voila_norbert", "anymailfinder", "findymail", "reoon", "mailverify"]
)
async def test_what_is_left_is_read_from_the_account(
    box: sandbox.app.Sandbox, database_url: str, provider: str
) -> None:
    box.parts.vendors[provider].account.balance = Decimal(123)
    rows = await rows_of(database_url, source(box, provider), None)
    left = named(rows, provider)["credits_left"]
    assert left is not None
    assert Decimal(left) in {Decimal(123), Decimal(143)}  # Reoon's second meter holds 20 a day


async def test_an_account_that_does_not_answer_is_an_unknown_balance(database_url: str) -> None:
    gone = VendorSource(
        Settings(),
        {"FINDYMAIL_API_KEY": "k" * 20, "FINDYMAIL_BASE_URL": "http://127.0.0.1:9"},
        postgres_ledger(3600.0),
        SystemClock(),
    )
    assert named(await rows_of(database_url, gone, None), "findymail")["credits_left"] is None


async def test_a_probe_asks_each_once_is_billed_as_booked_and_scored(
    box: sandbox.app.Sandbox, database_url: str
) -> None:
    vendors = source(box, "tomba", "findymail", "reoon")
    rows = await rows_of(database_url, vendors, PROBE)
    assert named(rows, "tomba")["probe"] == "as documented: miss"
    assert named(rows, "reoon")["probe"] == "as documented: judgement"
    again = named(await rows_of(database_url, vendors, None), "reoon")
    assert (again["calls"], again["hits"], again["error_rate"]) == (1, 1, 0.0)
    assert box.parts.vendors["reoon"].account.billed == 1
    await rows_of(database_url, vendors, PROBE)
    assert box.parts.vendors["reoon"].account.billed == 1


async def test_a_probe_stays_below_its_cap_and_tells_of_undocumented_answers(
    box: sandbox.app.Sandbox, database_url: str
) -> None:
    poor = Probe(PROBE.email, PROBE.name, usd("0"))
    asked = await asked_of_all(database_url, source(box, "tomba"), poor)
    assert asked["tomba"] == {"probe": "not asked: the cap would be passed"}
    box.parts.vendors["tomba"].account.key = "another"
    wrong = VendorSource(
        Settings(),
        {**source(box, "tomba").environment, "TOMBA_API_KEY": "not-the-key"},
        postgres_ledger(3600.0),
        SystemClock(),
    )
    told = await asked_of_all(database_url, wrong, PROBE)
    assert told["tomba"]["probe"].startswith("no answer as documented: bad key")


@pytest.mark.parametrize(
    ("email", "name"), [("nobody", "No Body"), ("a@b", "No Body"), ("a@acme.example", " ")]
)
def test_a_probe_needs_a_known_person(email: str, name: str) -> None:
    with pytest.raises(BadInput, match="--probe"):
        Probe(email, name, usd("1")).lead()


async def test_an_open_breaker_is_shown_with_what_opened_it(
    box: sandbox.app.Sandbox, database_url: str
) -> None:
    async with PostgresDatabase(database_url).reading() as books:
        await PostgresBreakers(books.engine).tell({"tomba": [Failed("HTTP 502")] * 5}, ["tomba"])
    rows = await rows_of(database_url, source(box, "tomba", "reoon"), None)
    assert re.fullmatch(r"open until \d\d:\d\d UTC: HTTP 502", named(rows, "tomba")["breaker"])
    assert named(rows, "reoon")["breaker"] == "closed"


async def test_the_table_shows_a_line_for_each(box: sandbox.app.Sandbox, database_url: str) -> None:
    rows = await rows_of(database_url, source(box, "tomba", "reoon"), PROBE)
    assert provider_table(rows).row_count == len(rows)
