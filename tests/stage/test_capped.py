"""What an estimate says that caps leave of a campaign, beside a run under them; looking changes none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from phase3_assets.budgeting import budget_rows
from phase3_core.budget import LEAST_DECIDED, Caps
from phase3_core.money import usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.estimates import LedgerEstimates
from resources.postgres.budgets import PostgresBudgets
from resources.postgres.database import PostgresDatabase
from resources.settings_tables import BudgetSettings, WaterfallSettings
from sandbox.app import serve
from sandbox.options import Options
from tests.stage.stage import Play, Stage, staged

ASKED = ("TOMBA", "REOON", "MAILVERIFY", "CLEARBIT")
EVERY = 3  # one of so many people of the sandbox's world
FOUND_AND_NOT_VERIFIED = """
SELECT l.id FROM leads AS l JOIN provider_calls AS c ON c.lead_id = l.id
WHERE c.provider = 'tomba' AND c.outcome = 'hit' AND l.email_status IS NULL
"""
BUDGETS = "SELECT scope, cap_usd FROM budgets ORDER BY scope"


@pytest.fixture
async def stage(database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = sandbox.parts.world.people[::EVERY]
        alone = WaterfallSettings(order=("tomba",))
        stage = await staged(sandbox, database_url, tmp_path, people, web=False, waterfall=alone)
        ours = {key: value for key, value in stage.play.environment.items() if key.startswith(ASKED)}
        yield replace(stage, play=replace(stage.play, environment=ours))


def looking_only(url: str) -> str:
    options = {"options": "-c default_transaction_read_only=on"}
    return make_url(url).update_query_dict(options).render_as_string(hide_password=False)


async def told(stage: Stage, emails_usd: Decimal | None = None) -> dict[str, Any]:
    """By somebody who may write nothing, under settings with this cap."""
    play = stage.play
    budgets = BudgetSettings(email_verification_usd=emails_usd)
    settings = play.source().settings.model_copy(update={"budgets": budgets})
    async with PostgresDatabase(looking_only(play.url)).reading() as books:
        foresight = LedgerEstimates(settings, play.environment)
        return (await foresight.of(play.campaign_id, books)).as_json()


def capped(stage: Stage, emails_usd: Decimal) -> Stage:
    caps = Caps({Agent.EMAIL_VERIFICATION: usd(emails_usd)})
    return replace(stage, play=replace(stage.play, caps=caps))


async def test_a_campaign_costs_within_its_cap_what_was_estimated(stage: Stage) -> None:
    free = await told(stage)
    cap = round(usd(free["cost_by_agent_usd"]["email_verification"]) / 3, 3)
    foreseen = await told(stage, cap)
    assert (await capped(stage, cap).perform()).why_not == ""
    within, cost = foreseen["cost_within_caps_usd"], sum(stage.booked())
    assert Decimal(within["low"]) <= cost <= Decimal(within["high"])
    assert cost < Decimal(free["cost_usd"]["low"])


async def test_where_addresses_are_too_dear_what_was_found_is_verified_and_the_rest_waits(
    stage: Stage,
) -> None:
    dear = replace(stage, play=replace(stage.play, per_valid=usd("0.001")))
    assert (await dear.perform()).why_not == ""
    report = await dear.report()
    decided = sum(report["email_status"].values())
    assert LEAST_DECIDED <= decided < report["funnel"]["leads"]
    assert "the campaign's budget for valid addresses at 0.001000 USD each" in report["waiting_for"][0]["why"]
    assert stage.query(FOUND_AND_NOT_VERIFIED) == []


@asynccontextmanager
async def a_run_that_may_spend_nothing(play: Play) -> AsyncIterator[None]:
    run = Run(str(uuid4()), play.campaign_id, Agent.EMAIL_VERIFICATION)
    async with PostgresDatabase(play.url).open(run) as books:
        await PostgresBudgets(books.engine).open(play.campaign_id, Caps({run.agent: usd(0)}))
        yield


async def test_an_estimate_beside_a_run_goes_by_the_runs_cap_and_leaves_it(stage: Stage) -> None:
    async with a_run_that_may_spend_nothing(stage.play):
        before = stage.query(BUDGETS)
        (cut,) = (await told(stage, Decimal(500)))["cuts"]
        assert (cut["budget"], cut["left_usd"]) == ("email verification", str(usd(0)))
        assert stage.query(BUDGETS) == before
    assert (await told(stage, Decimal(500)))["cuts"] == [], "the run has ended"


async def test_whoever_looks_at_the_budgets_of_a_run_leaves_them(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no settings are, so that no cap is set
    async with a_run_that_may_spend_nothing(stage.play):
        url, name = looking_only(stage.play.url), str(stage.play.campaign_id)
        (row,) = await asyncio.to_thread(budget_rows, url, name, {"email_verification": None})
    assert (row["of"], row["cap_usd"]) == ("email verification", str(usd(0)))
