"""Two runs in two processes at vendors that count: none of their requests is one too many."""

import asyncio
import json
import os
import sys
from collections import Counter
from typing import Any

import pytest

import sandbox.app
from sandbox.options import Options
from sandbox.vendor import Vendor
from sandbox.wire import Reply

pytestmark = pytest.mark.slow

QUESTIONS = 60
VENDORS = ("reoon", "tomba", "brave")

# A run of its own campaign: asks each vendor many questions at once, as a campaign's leads do.
RUN = """
import asyncio, collections, json, os, sys
from dataclasses import replace
from uuid import uuid4
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.clock import SystemClock
from resources.assembly import postgres_ledger, postgres_limits
from resources.postgres.database import PostgresDatabase
from resources.providers.source import VendorSource
from resources.settings import Settings
from tests.resources.providers.sheet import DANA

async def main(url, environment, questions):
    run = Run(uuid4().hex, uuid4(), Agent.EMAIL_VERIFICATION)
    source = VendorSource(
        Settings(), environment, postgres_ledger(3600.0), SystemClock(), open_limits=postgres_limits)
    leads = [
        replace(DANA, id=uuid4(), first_name=f"Dana{n}", company_name=f"Acme {run.id} {n}",
                company_domain=f"{run.id}{n}.example") for n in range(questions)]
    async with PostgresDatabase(url).open(run) as books, source.open(run, books) as providers:
        news = next(one for one in providers.enrichers if one.client.spec.name == "brave")
        tomba = providers.finders[0]
        replies = await asyncio.gather(
            *(providers.verifiers[0].verify(lead, f"dana@{lead.company_domain}") for lead in leads),
            *(news.enrich(lead) for lead in leads),
            *(tomba.find(lead) for lead in leads[:8]))
    print(json.dumps(collections.Counter(type(reply).__name__ for reply in replies)))

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])))
"""


def counted(vendor: Vendor, refusals: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = vendor.rate_limited

    def refused(pressure: Any) -> Reply:
        refusals.append(f"{vendor.name}: {pressure}")
        return refuse(pressure)

    monkeypatch.setattr(vendor, "rate_limited", refused)


async def run(url: str, environment: dict[str, str]) -> Counter[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, url, json.dumps(environment), str(QUESTIONS)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ},
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return Counter(json.loads(said))


async def test_two_runs_at_once_send_no_request_too_many(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[str] = []
    async with sandbox.app.serve(Options(latency_ms=40)) as box:
        environment: dict[str, str] = {}
        for name in VENDORS:
            vendor = box.parts.vendors[name]
            environment |= vendor.env(f"{box.url}/{name}{vendor.base}")
            counted(vendor, refusals, monkeypatch)
        replies = await asyncio.gather(*(run(database_url, environment) for _ in range(2)))
    assert refusals == []
    assert sum(replies, Counter()).total() == 2 * (2 * QUESTIONS + 8)
    assert sum(replies, Counter())["NoAnswer"] == 0
