"""A run may die or be told to stop at any moment: the next one goes on, and nobody is paid twice."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from phase3_assets.tracing import traced
from phase3_core.calls import ReplayClass
from resources.postgres.database import PostgresDatabase
from resources.providers.catalogue import row as catalogue_row
from resources.settings import read_settings
from tests.canary import arguments, files_below, leaks, rows_of, secrets_in
from tests.end_to_end.campaign import Books
from tests.end_to_end.conftest import Site
from tests.end_to_end.shell import WAIT_S, Said, Vendors, kill_group, said, until

pytestmark = pytest.mark.slow

Progress = Callable[[Site], bool]


def halfway_through_emails(site: Site) -> bool:
    return site.books.number("provider_calls WHERE agent = 'email_verification'") > 400


def halfway_through_enrichment(site: Site) -> bool:
    return site.books.number("provider_calls WHERE agent = 'waterfall_enrichment'") > 60


def replay(provider: str) -> ReplayClass:
    return catalogue_row(provider).terms.replay


def times_billed(vendors: Vendors) -> Counter[tuple[str, str, str]]:
    rows = vendors.read("billing")["rows"]
    return Counter((row["vendor"], row["operation"], row["question"]) for row in rows)


def bill(site: Site) -> Decimal:
    return Decimal(site.vendors.read("bill")["total_usd"])


def stop_when(site: Site, reached: Progress, number: int) -> Said:
    """Sends the signal to the run's whole process group, as a terminal does."""
    with site.shell.started(*site.run) as process:
        until(lambda: reached(site) or process.poll() is not None)
        assert process.poll() is None, "it ended before it could be stopped"
        kill_group(process, number)
        out, err = process.communicate(timeout=WAIT_S)
    return said(process, out, err)


def beyond_asking(books: Books) -> set[str]:
    """Companies of leads whose answer was lost at a vendor that must not be asked again: a handful."""
    lost = [call for call in books.lost() if replay(call["provider"]) is ReplayClass.PER_CALL]
    for provider, number in Counter(call["provider"] for call in lost).items():
        assert number <= catalogue_row(provider).terms.limits.in_flight
    assert all(call["state"] == "unknown" and call["unknown_usd"] > 0 for call in lost)
    return {call["company_domain"] for call in lost}


def assert_nobody_is_paid_twice(vendors: Vendors) -> None:
    for (vendor, operation, question), times in times_billed(vendors).items():
        once_more = replay(vendor) is ReplayClass.ON_HIT
        assert times <= 1 + once_more, f"{vendor} {operation} {question} was billed {times} times"


def assert_ledger_covers_bill(site: Site) -> None:
    billed = bill(site)
    assert site.books.booked >= billed
    if site.books.booked == site.books.settled:
        assert site.books.settled == billed


def assert_same_leads(site: Site, other: Site, apart_from: set[str]) -> None:
    ours, theirs = site.books.leads(), other.books.leads()
    assert ours.keys() == theirs.keys()
    different = [
        (theirs[key], row)
        for key, row in ours.items()
        if row != theirs[key] and row["company_domain"] not in apart_from
    ]
    assert different == []


@pytest.mark.parametrize("reached", [halfway_through_emails, halfway_through_enrichment])
def test_a_killed_run_is_finished_by_the_next(site: Site, uninterrupted: Site, reached: Progress) -> None:
    stop_when(site, reached, signal.SIGKILL)
    ended = site.shell(*site.run)
    assert ended.code == 0, ended.err
    assert "An earlier run may be alive" not in ended.err
    assert ended.document["status"] == "pending_approval"
    assert site.books.runs() == ["FAILURE", "SUCCESS"]
    assert site.books.number("provider_calls WHERE state = 'intent'") == 0
    assert_nobody_is_paid_twice(site.vendors)
    assert_ledger_covers_bill(site)
    assert_same_leads(site, uninterrupted, apart_from=beyond_asking(site.books))


def test_dagster_is_told_of_batches_and_not_of_leads(uninterrupted: Site) -> None:
    """Some forty events of a run whatever its size, and two for each 250 leads."""
    (run,) = uninterrupted.books.query("SELECT run_id FROM dagster.runs ORDER BY id LIMIT 1")
    assert uninterrupted.books.number("leads") > 600
    assert uninterrupted.books.number("dagster.event_logs WHERE run_id = %s", run["run_id"]) <= 60


def test_a_finished_campaign_costs_nothing_more(uninterrupted: Site) -> None:
    asked, leads = uninterrupted.vendors.requests, uninterrupted.books.leads()
    again = uninterrupted.shell(*uninterrupted.run)
    assert again.code == 0, again.err
    assert uninterrupted.vendors.requests == asked
    assert uninterrupted.books.leads() == leads
    assert uninterrupted.books.settled == bill(uninterrupted)


def assert_stopped_cleanly(site: Site, ended: Said, recorded: str) -> None:
    assert ended.code == 1
    told = "Cancelled; what was in flight is recorded. Run again to go on where it stopped."
    assert ended.err.splitlines()[-1] == told
    assert site.books.runs() == [recorded]
    reason = "cancelled; everything bought is kept, run again to resume"
    assert site.books.campaign() == {"status": "phase3_failed", "status_reason": reason}
    assert site.books.number("provider_calls WHERE state <> 'settled'") == 0
    assert site.books.settled == bill(site)


def test_a_cancelled_run_settles_what_is_in_flight_and_is_resumed(site: Site, uninterrupted: Site) -> None:
    ended = stop_when(site, halfway_through_emails, signal.SIGINT)
    assert_stopped_cleanly(site, ended, "CANCELED")
    again = site.shell(*site.run)
    assert again.code == 0, again.err
    assert max(times_billed(site.vendors).values()) == 1
    assert site.books.settled == bill(site)
    assert_same_leads(site, uninterrupted, apart_from=set())


def test_a_campaign_leaves_no_key_behind(uninterrupted: Site) -> None:
    secrets = secrets_in(uninterrupted.shell.variables)
    assert {"REOON_API_KEY", "SLACK_BOT_TOKEN", "the database's password"} <= secrets.keys()
    written = [*rows_of(uninterrupted.books.url), *files_below(uninterrupted.shell.directory)]
    assert {"dagster.event_logs", "dagster.runs", "public.provider_calls"} <= {where for where, _ in written}
    assert leaks(secrets, written) == []


def test_a_machine_that_shuts_down_leaves_a_failed_run(site: Site) -> None:
    assert_stopped_cleanly(site, stop_when(site, halfway_through_emails, signal.SIGTERM), "FAILURE")


def test_of_two_runs_at_once_one_works(site: Site) -> None:
    with site.shell.started(*site.run) as working:
        until(lambda: site.books.number("provider_calls") > 20 or working.poll() is not None)
        assert leaks(secrets_in(site.shell.variables), arguments()) == []
        other = site.shell(*site.run)
        assert working.poll() is None, "the first had ended already"
        kill_group(working, signal.SIGINT)
        working.communicate(timeout=WAIT_S)
    assert (other.code, other.out) == (1, "")
    assert other.line.startswith(f"Another run is working on campaign {site.campaign_id}.")


def traces(site: Site, leads: list[UUID]) -> list[dict[str, Any]]:
    """As `phase3 trace` makes them, all in one process."""
    settings = read_settings(Path(site.shell.variables["PHASE3_SETTINGS"]))

    async def tracing() -> list[dict[str, Any]]:
        async with PostgresDatabase(site.books.url).reading() as books:
            return [await traced(books, lead, settings, site.shell.environment) for lead in leads]

    return asyncio.run(tracing())


WINDING = """
SELECT id, email_status, coalesce(email_cost, 0) AS email_cost,
       coalesce(enrichment_cost, 0) AS enrichment_cost
FROM (SELECT *, row_number() OVER (PARTITION BY lead_tier ORDER BY calls DESC, id) AS place
      FROM leads JOIN (SELECT lead_id, count(*) AS calls FROM provider_calls GROUP BY 1) AS made
      ON made.lead_id = leads.id) AS ranked
WHERE place <= 20
"""


def test_a_trace_explains_any_lead_and_adds_up_to_its_cost(uninterrupted: Site) -> None:
    """Those of each tier for whom most was asked."""
    picked = uninterrupted.books.query(WINDING)
    asked = uninterrupted.vendors.requests
    for row, trace in zip(picked, traces(uninterrupted, [row["id"] for row in picked]), strict=True):
        assert trace["other_calls"] == [], row["id"]
        steps = [*trace["steps"], *trace["earlier_steps"]]
        calls = [call for step in steps for call in step["calls"]]
        spent = sum(Decimal(call["cost_usd"]) + Decimal(call["unknown_usd"]) for call in calls)
        assert spent == row["email_cost"] + row["enrichment_cost"]
        assert Decimal(trace["costs"]["email_usd"]) == row["email_cost"]
        assert Decimal(trace["costs"]["enrichment_usd"]) == row["enrichment_cost"]
        stop = next(step for step in trace["steps"] if step["step"] == "stop")
        assert (stop["outcome"] == "accepted") == (row["email_status"] in {"valid", "risky"})
        assert all(step["why"] for step in steps)
    assert uninterrupted.vendors.requests == asked


def test_a_trace_is_asked_for_by_address(uninterrupted: Site) -> None:
    (row,) = uninterrupted.books.query(
        "SELECT id::text, email, email_cost + enrichment_cost AS usd FROM leads"
        " WHERE enrichment_status = 'enriched' AND lead_tier = 'A' ORDER BY id LIMIT 1"
    )
    said = uninterrupted.shell("trace", row["email"].upper(), "--json")
    assert said.code == 0, said.err
    assert said.document["lead"]["id"] == row["id"]
    assert Decimal(said.document["costs"]["total_usd"]) == row["usd"]
    refused = uninterrupted.shell("trace", "nobody@acme.example")
    assert refused.line.startswith("There is no lead 'nobody@acme.example'.")


def test_dagster_is_told_nothing_about_anybody(uninterrupted: Site) -> None:
    """Neither its tables nor its logs name a lead, and vendors' words are not repeated there."""
    books, directory = uninterrupted.books, Path(uninterrupted.shell.variables["PHASE3_STATE_DIR"])
    tables = books.query("SELECT tablename FROM pg_tables WHERE schemaname = 'dagster'")
    rows = [books.query(f"SELECT t::text AS row FROM dagster.{one['tablename']} AS t") for one in tables]
    logs = [file.read_text(errors="replace") for file in (directory / "dagster").rglob("*") if file.is_file()]
    told = "\n".join([row["row"] for table in rows for row in table] + logs).lower()
    assert uninterrupted.campaign_id in told
    people = books.query("SELECT first_name, last_name, email, linkedin_url FROM leads")
    words = [(f"{one['first_name']} {one['last_name']}", one["email"], one["linkedin_url"]) for one in people]
    assert [word for one in words for word in one if word and word.lower() in told] == []
