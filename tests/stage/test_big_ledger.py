"""A ledger full of other campaigns: nobody who asks it, looks at it or erases what is old reads it whole."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from phase3_core.budget import Caps
from phase3_core.money import usd
from phase3_core.record import Roles
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.assembly import postgres_breakers
from resources.postgres.database import PostgresDatabase
from resources.postgres.dossier import dossier
from resources.postgres.history import calls_for, providers_asked
from resources.postgres.readings import PostgresReadings
from resources.postgres.retention import PostgresRetention, Pruned, Retention
from resources.postgres.scorecard import scores
from resources.postgres.track_record import NEWEST_CALLS
from sandbox.app import serve
from sandbox.options import Options
from tests.stage.stage import Stage, everyone_is_needed, staged

Query = Callable[..., list[dict[str, Any]]]

OTHERS = 100_000
KEPT = Retention(answers_days=289, leads_days=365)
OLD = 3_963  # of the others, and one more every 260 seconds
A_FEW = 10
VENDORS = [f"vendor{n}" for n in range(9)]
MOST_BLOCKS = 30_000  # 22,000 with 100,000 calls in the ledger and with a million
WAIT_S = 60.0

# One a call, some 300 days of them, the oldest first.
BUY = """
INSERT INTO provider_calls (key, provider, operation, request, state, outcome, cost_usd, campaign_id, lead_id,
                            agent, tier, day, created_at, asked_at, settled_at, response_time_ms)
SELECT sha256(n::text::bytea), 'vendor' || n % 9, 'find', '{}', 'settled', 'hit', 0.01,
       md5((n / 2000)::text)::uuid, md5((n / 5)::text)::uuid,
       (ARRAY['email_verification', 'waterfall_enrichment'])[1 + n % 2], 'B',
       (at AT TIME ZONE 'UTC')::date, at, at, at, n % 1000
FROM generate_series(1, :others) AS n
CROSS JOIN LATERAL (SELECT now() - (:others - n) * interval '260 seconds' AS at) AS moment
"""
KNOWN = "SELECT brin_summarize_new_values('provider_calls_created_at_idx')"
# Of a campaign in which nothing has happened for two years.
PEOPLE = """
WITH campaign AS (
    INSERT INTO campaigns (name, status, updated_at)
    VALUES ('Last but one', 'approved_for_personalization', now() - interval '2 years') RETURNING id
)
INSERT INTO leads (campaign_id, first_name, erased_at)
SELECT campaign.id, 'Ada', CASE WHEN n > :left THEN now() END FROM campaign, generate_series(1, :people) AS n
"""
# Five campaigns that have ended, of 400 leads each: the newest of whom the calls of the others are.
EARLIER = """
WITH ended AS (
    INSERT INTO campaigns (id, name, email_verification_completed_at)
    SELECT md5(c::text)::uuid, 'Earlier', now() FROM generate_series(:campaigns - 5, :campaigns - 1) AS c
)
INSERT INTO leads (id, campaign_id, lead_tier, email, email_status, email_provider, enrichment_status)
SELECT md5(l::text)::uuid, md5((l / 400)::text)::uuid, 'B', 'a@acme.com', 'valid', 'vendor0', 'enriched'
FROM generate_series((:campaigns - 5) * 400, :campaigns * 400 - 1) AS l
"""
READ = """
SELECT seq_scan, seq_tup_read + idx_tup_fetch AS rows,
       heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit AS blocks
FROM pg_stat_user_tables JOIN pg_statio_user_tables USING (relid, relname) WHERE relname = :table
"""
OTHERS_HERE = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
CAPS = Caps(
    agents={agent: usd("1000") for agent in (Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT)},
    daily={"tomba": usd("1000"), "reoon": usd("1000")},
)


@pytest.fixture
def others(query: Query) -> None:
    """Calls of other campaigns."""
    query(BUY, others=OTHERS)
    query(KNOWN)
    query("ANALYZE provider_calls")


@pytest.fixture
async def stage(others: None, database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    del others
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people, each=1)
        stage = await staged(sandbox, database_url, tmp_path, people, web=False)
        yield replace(stage, play=replace(stage.play, caps=CAPS, breakers=postgres_breakers))


def read(query: Query, table: str = "provider_calls") -> dict[str, int]:
    """How many rows were read so far, and how often all, end to end. A connection tells when it ends."""
    deadline = time.monotonic() + WAIT_S
    while query(OTHERS_HERE):
        assert time.monotonic() < deadline, "somebody stays connected"
        time.sleep(0.02)
    return query(READ, table=table)[0]


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


async def pruned(url: str) -> tuple[Pruned, Pruned]:
    """What a dry run told, and what was done."""
    async with PostgresDatabase(url).reading() as books:
        retention = PostgresRetention(books.engine, KEPT)
        return await retention.due(), await retention.prune(lambda _: ())


async def test_nobody_reads_a_big_ledger_from_end_to_end(stage: Stage, query: Query) -> None:
    before = read(query)["seq_scan"]
    assert (await stage.perform()).why_not == ""
    assert (await stage.perform()).why_not == ""
    await look_at_everything(stage)
    assert read(query)["seq_scan"] == before
    query("SELECT sum(cost_usd) FROM provider_calls")
    assert read(query)["seq_scan"] == before + 1, "the count itself is deaf"


@pytest.mark.usefixtures("others")
async def test_an_estimate_reads_as_much_of_any_ledger(database_url: str, query: Query) -> None:
    """What its sample of leads was asked, and the newest answers of each vendor."""
    query(EARLIER, campaigns=OTHERS // 2_000)
    query("ANALYZE leads")
    before = read(query)
    async with PostgresDatabase(database_url).reading() as books:
        record = await books.track_record.record(UUID(int=0), Roles(frozenset(VENDORS), "reoon"))
        took = await books.track_record.took_ms(VENDORS)
    assert (record.leads, record.enriched, set(took)) == (2_000, {Tier.B: 2_000}, set(VENDORS))
    after = read(query)
    assert after["seq_scan"] == before["seq_scan"]
    assert after["rows"] - before["rows"] <= 5 * record.leads + NEWEST_CALLS * len(VENDORS)
    assert after["blocks"] - before["blocks"] < MOST_BLOCKS


@pytest.mark.usefixtures("others")
async def test_to_erase_what_is_old_nothing_else_is_read(database_url: str, query: Query) -> None:
    before = read(query)
    told, done = await pruned(database_url)
    night = read(query)
    assert OLD <= told.calls <= done.calls <= OLD + A_FEW
    assert night["seq_scan"] == before["seq_scan"]
    assert OLD < night["rows"] - before["rows"] < 5 * OLD
    await pruned(database_url)
    assert read(query)["rows"] - night["rows"] < 10 * A_FEW, "what is erased is read again"
    (row,) = query("SELECT count(*) AS calls, count(erased_at) AS erased FROM provider_calls")
    assert row["calls"] == OTHERS
    assert done.calls <= row["erased"] <= done.calls + A_FEW


async def test_people_who_are_erased_already_are_not_read_again(database_url: str, query: Query) -> None:
    query(PEOPLE, people=20_000, left=0)
    query(PEOPLE, people=20_000, left=1_000)
    query("ANALYZE leads")
    before = read(query, "leads")
    told, done = await pruned(database_url)
    assert told == Pruned(0, 1_000, 1)
    assert (done.leads, done.campaigns) == (1_000, 1)
    assert 1_000 < read(query, "leads")["rows"] - before["rows"] < 6_000
