"""`phase3 budget` beside a run that was given caps of its own."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phase3_assets.budgeting import budget_rows
from phase3_core.budget import Caps
from phase3_core.money import usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.postgres.database import PostgresDatabase
from tests.fakes.people import CAMPAIGN

Query = Callable[..., list[dict[str, Any]]]

RUNS_OWN = Caps({Agent.EMAIL_VERIFICATION: usd(2)}, {Tier.B: usd(1)}, {"tomba": usd(5)})


@pytest.fixture(autouse=True)
def campaign(query: Query, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under settings that know nothing of what the run was given."""
    settings = tmp_path / "phase3.toml"
    settings.write_text("[budgets]\nenrichment_usd = 9\n", encoding="utf-8")
    monkeypatch.setenv("PHASE3_SETTINGS", str(settings))
    query("INSERT INTO campaigns (id, name, status) VALUES (:id, 'Spring', 'new')", id=CAMPAIGN)


def shown(url: str, **wishes: str) -> dict[str, str]:
    return {row["of"].partition(" on ")[0]: row["cap_usd"] for row in budget_rows(url, "Spring", wishes)}


def capped(query: Query) -> dict[str, str]:
    rows = query("SELECT coalesce(provider, agent, tier) AS of, cap_usd FROM budgets")
    return {row["of"]: str(row["cap_usd"].normalize()) for row in rows}


def beside_a_run(url: str, work: Callable[[], Any]) -> Any:
    async def running() -> Any:
        run = Run("run", CAMPAIGN, Agent.EMAIL_VERIFICATION)
        async with PostgresDatabase(url).open(run) as books:
            await books.budgets.open(CAMPAIGN, RUNS_OWN)
            return await asyncio.to_thread(work)

    return asyncio.run(running())


def test_who_looks_at_budgets_takes_none_from_a_run(database_url: str, query: Query) -> None:
    said = beside_a_run(database_url, lambda: shown(database_url))
    assert said == {"email verification": "2.000000", "tier b": "1.000000", "tomba": "5.000000"}
    assert capped(query) == {"email_verification": "2", "B": "1", "tomba": "5"}


def test_who_sets_a_cap_leaves_a_run_all_others(database_url: str, query: Query) -> None:
    said = beside_a_run(database_url, lambda: shown(database_url, email_verification="0.5", tier_b="none"))
    assert said == {"email verification": "0.500000", "tomba": "5.000000"}
    assert capped(query) == {"email_verification": "0.5", "tomba": "5"}


def test_of_a_campaign_that_is_not_at_work_what_a_run_would_hold_to_is_shown(
    database_url: str, query: Query
) -> None:
    assert shown(database_url) == {"enrichment": "9.000000"}
    assert capped(query) == {}
    assert shown(database_url, tier_b="1") == {"enrichment": "9.000000", "tier b": "1.000000"}
