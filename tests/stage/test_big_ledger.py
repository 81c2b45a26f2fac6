"""A ledger full of other campaigns: nothing that a run asks of it, or whoever looks, reads it whole."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phase3_core.budget import Caps
from phase3_core.money import usd
from phase3_core.statuses import Agent
from resources.assembly import postgres_breakers
from resources.postgres.database import PostgresDatabase
from resources.postgres.dossier import dossier
from resources.postgres.history import calls_for, providers_asked
from resources.postgres.readings import PostgresReadings
from resources.postgres.scorecard import scores
from sandbox.app import serve
from sandbox.options import Options
from tests.stage.stage import Stage, everyone_is_needed, staged

Query = Callable[..., list[dict[str, Any]]]

OTHERS = 100_000
WAIT_S = 60.0

# One a call, some 300 days of them, the oldest first.
BUY = """
INSERT INTO provider_calls (key, provider, operation, request, state, outcome, cost_usd, campaign_id, lead_id,
                            agent, tier, day, created_at, asked_at, settled_at, response_time_ms)
SELECT sha256(n::text::bytea), 'vendor' || n % 9, 'find', '{}', 'settled', 'hit', 0.01,
       md5((n / 2000)::text)::uuid, md5((n / 5)::text)::uuid, 'email_verification', 'B',
       (at AT TIME ZONE 'UTC')::date, at, at, at, n % 1000
FROM generate_series(1, :others) AS n
CROSS JOIN LATERAL (SELECT now() - (:others - n) * interval '260 seconds' AS at) AS moment
"""
KNOWN = "SELECT brin_summarize_new_values('provider_calls_created_at_idx')"
SCANS = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'provider_calls'"
OTHERS_HERE = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
CAPS = Caps(
    agents={agent: usd("1000") for agent in (Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT)},
    daily={"tomba": usd("1000"), "reoon": usd("1000")},
)


@pytest.fixture
async def stage(database_url: str, query: Query, tmp_path: Path) -> AsyncIterator[Stage]:
    query(BUY, others=OTHERS)
    query(KNOWN)
    query("ANALYZE provider_calls")
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people, each=1)
        stage = await staged(sandbox, database_url, tmp_path, people, web=False)
        yield replace(stage, play=replace(stage.play, caps=CAPS, breakers=postgres_breakers))


def scans(query: Query) -> int:
    """How often the ledger was read from end to end. A connection tells when it ends."""
    deadline = time.monotonic() + WAIT_S
    while query(OTHERS_HERE):
        assert time.monotonic() < deadline, "somebody stays connected"
        time.sleep(0.02)
    return int(query(SCANS)[0]["seq_scan"])


async def look_at_everything(stage: Stage) -> None:
    """What `phase3 status`, `trace`, `reconcile` and `providers` ask."""
    campaign = stage.play.campaign_id
    (lead, *_) = stage.query("SELECT id FROM leads WHERE email IS NOT NULL ORDER BY id")
    async with PostgresDatabase(stage.play.url).reading() as books:
        (seen,) = await books.campaigns.overview(campaign)
        assert seen.spent == stage.billed()
        booked = await PostgresReadings(books.engine).booked()
        assert set(booked) <= set(await providers_asked(books.engine))
        assert booked["vendor0"].settled == usd("0.01") * (OTHERS // 9)
        assert await calls_for(books.engine, lead["id"])
        await dossier(books.engine, books.leads, lead["id"])
        await scores(books.engine, 30)
        await books.budgets.of(campaign)
        await books.events.newest(campaign)


async def test_nobody_reads_a_big_ledger_from_end_to_end(stage: Stage, query: Query) -> None:
    before = scans(query)
    assert (await stage.perform()).why_not == ""
    assert (await stage.perform()).why_not == ""
    await look_at_everything(stage)
    assert scans(query) == before
    query("SELECT sum(cost_usd) FROM provider_calls")
    assert scans(query) == before + 1, "the count itself is deaf"
