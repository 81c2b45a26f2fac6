"""`phase3 reconcile` as its user meets it: what it says, how it exits, and what accepting does."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

import sandbox.app
from phase3_assets.balances import balances_daily
from phase3_assets.cli import app
from phase3_assets.definitions import defs
from phase3_assets.reconciling import Wish, accounts_now
from phase3_core.errors import BadInput
from sandbox.options import Options

Phase3 = Callable[..., Any]


@pytest.fixture
async def box() -> AsyncIterator[sandbox.app.Sandbox]:
    async with sandbox.app.serve(Options(latency_ms=0, rate_factor=1000)) as running:
        yield running


@pytest.fixture
def phase3(
    box: sandbox.app.Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Phase3:
    """The command line beside the sandbox, with keys for Findymail and Reoon alone."""
    for name in ("findymail", "reoon"):
        vendor = box.parts.vendors[name]
        for variable, value in vendor.env(f"{box.url}/{name}{vendor.base}").items():
            monkeypatch.setenv(variable, value)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("PHASE3_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    async def invoked(*words: str) -> Result:
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, words))

    return invoked


def takes_unasked(box: sandbox.app.Sandbox, credits_taken: int) -> None:
    account = box.parts.vendors["findymail"].account
    box.parts.bill.charge(account, "find", "nobody asked", Decimal(credits_taken))


async def test_accounts_that_agree_are_shown_and_exit_well(phase3: Phase3) -> None:
    done = await phase3("reconcile", "--json")
    assert done.exit_code == 0
    told = {one["provider"]: one["agreement"] for one in json.loads(done.stdout)}
    assert told == {"findymail": "agreed", "reoon": "agreed"}


async def test_a_drift_is_told_by_reconcile_and_status_until_it_is_accepted(
    box: sandbox.app.Sandbox, phase3: Phase3
) -> None:
    await phase3("reconcile")
    takes_unasked(box, 3)
    done = await phase3("reconcile", "--provider", "findymail")
    assert done.exit_code == 1
    assert "the account lost $0.0594 more than the ledger explains" in done.stderr
    assert "phase3 reconcile --accept findymail" in done.stderr
    assert "lost $0.0594 more" in (await phase3("status")).stderr
    assert (await phase3("reconcile", "--accept", "findymail")).exit_code == 0
    assert (await phase3("reconcile")).exit_code == 0
    assert "findymail" not in (await phase3("status")).stderr


@pytest.mark.usefixtures("phase3")
async def test_a_vendor_without_a_key_is_a_mistake_in_one_line(database_url: str) -> None:
    with pytest.raises(BadInput, match="nimbler tells no balance, or has no key"):
        await asyncio.to_thread(accounts_now, database_url, Wish(provider="nimbler"))


async def test_an_account_that_tells_no_balance_is_shown_as_such(
    phase3: Phase3, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARBIT_API_KEY", "an-old-key")
    done = await phase3("reconcile", "--json")
    told = {one["provider"]: one["agreement"] for one in json.loads(done.stdout)}
    assert told == {"findymail": "agreed", "reoon": "agreed", "clearbit": "tells no balance"}
    monkeypatch.setenv("COLUMNS", "85")
    alone = await phase3("reconcile", "--provider", "clearbit")
    words = alone.stdout.replace("│", " ").split()
    assert (alone.exit_code, {"clearbit", "tells", "no", "balance"} <= set(words)) == (0, True)
    with pytest.raises(BadInput, match="clearbit tells no balance"):
        await asyncio.to_thread(accounts_now, database_url, Wish(accept="clearbit"))


def read_by_the_schedule() -> None:
    defs.resolve_job_def(balances_daily.job_name).execute_in_process()


async def test_a_drift_is_found_every_day_also_while_nobody_runs_a_campaign(
    box: sandbox.app.Sandbox, phase3: Phase3
) -> None:
    assert balances_daily.default_status is dg.DefaultScheduleStatus.RUNNING
    await asyncio.to_thread(read_by_the_schedule)
    assert "findymail" not in (await phase3("status")).stderr
    takes_unasked(box, 3)
    await asyncio.to_thread(read_by_the_schedule)
    assert "lost $0.0594 more" in (await phase3("status")).stderr
