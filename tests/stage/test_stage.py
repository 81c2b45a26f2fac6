"""The stage itself: an undisturbed campaign asks every vendor and agrees with its bill."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.app import serve
from sandbox.options import Options
from tests.stage.stage import Stage, everyone_is_needed, staged

SEARCHERS = {"brave", "claude", "serper", "tavily"}


@pytest.fixture
async def stage(database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        yield await staged(sandbox, database_url, tmp_path, everyone_is_needed(sandbox.parts.world.people))


async def test_every_vendor_is_asked_and_the_bill_is_the_ledger(stage: Stage) -> None:
    ended = await stage.perform()
    assert ended.why_not == ""
    asked = {vendor for vendor, _, _ in stage.sandbox.parts.bill.asked}
    assert set(stage.sandbox.parts.vendors) - asked == SEARCHERS - {"brave"}
    assert stage.booked() == (stage.billed(), Decimal(0))
    assert set(stage.times_billed().values()) == {1}
