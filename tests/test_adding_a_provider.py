"""The worked example of docs/adding-a-provider.md, run as it stands: hit, miss, bad key; bill and ledger."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import sandbox.app
from phase3_core.calls import Gap, Hit, Miss, NoAnswer
from phase3_core.leads import Lead
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.summary import cost_of
from phase3_core.tiers import Tier
from resources.clock import SystemClock
from resources.http_client import http_client
from resources.postgres.database import PostgresDatabase
from resources.postgres.ledger import ledger
from resources.providers.client import ProviderClient
from resources.providers.keys import Keys
from resources.providers.request import Question
from resources.providers.settlement import Tally
from sandbox import billing
from sandbox.options import Options
from sandbox.registry import VENDORS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "adding-a-provider.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def example() -> dict[str, Any]:
    """What the page's code defines, run in the order of the page."""
    names: dict[str, Any] = {"__name__": "acme"}
    for block in BLOCKS:
        exec(block, names)
    return names


def test_a_provider_is_one_short_file() -> None:
    assert len(BLOCKS) == 3
    assert len(BLOCKS[0].splitlines()) < 85
    for role in ("finders", "verifiers", "enrichers"):
        for file in (ROOT / "resources" / "providers" / role).glob("*.py"):
            assert len(file.read_text(encoding="utf-8").splitlines()) < 86, file


async def test_the_example_finds_and_is_billed_as_the_ledger_says(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = example()
    monkeypatch.setattr(sandbox.app, "VENDORS", (*VENDORS, names["Acme"]))
    monkeypatch.setitem(billing.LIST_PRICES, "acme", "0.01")
    run = Run("example", uuid4(), Agent.EMAIL_VERIFICATION)
    async with (
        sandbox.app.serve(Options(latency_ms=0)) as box,
        PostgresDatabase(database_url).open(run) as books,
        ledger(books.engine, run, 3600.0) as book,
        http_client() as http,
    ):
        account = box.parts.vendors["acme"].account

        def client(key: str) -> ProviderClient:
            return ProviderClient(
                spec=names["SPEC"],
                terms=names["ROW"].terms,
                secrets=Keys({"ACME_API_KEY": key}),
                base_url=f"{box.url}/acme",
                ledger=book,
                transport=http,
                clock=SystemClock(),
                tally=Tally(),
            )

        known = next(person for person in box.parts.world.people if person.email and person.last)
        company = known.company
        lead = Lead(uuid4(), uuid4(), known.first, known.last, company.name, company.domain, Tier.A, 90)
        stranger = Lead(uuid4(), uuid4(), "Nobody", "Atall", company.name, company.domain, Tier.A, 90)
        good = client(account.key)
        assert await good.ask(Question(lead)) == Hit(known.email)
        assert await good.ask(Question(stranger)) == Miss()
        assert await good.ask(Question(lead)) == Hit(known.email)
        other = Lead(uuid4(), uuid4(), "Some", "Body", company.name, company.domain, Tier.A, 90)
        refused = await client("wrong-key").ask(Question(other))
        assert isinstance(refused, NoAnswer)
        assert refused.gap is Gap.PARKED
        spend = await books.campaigns.spend(run.campaign_id)
        assert cost_of(spend) == Decimal("0.010000") == account.owed
