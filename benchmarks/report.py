"""The report and workbook of a full campaign against writing the same rows with XlsxWriter alone.

Both in this process and this run, alternating, and the other first in every second round, so that a noisy
machine slows both; the figure is the median of the rounds' ratios.
Memory is what a process of its own needs at its peak beyond its imports, for a tenth and for all leads.
Every lead is ready, so that the lists are as long as they can be.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import create_engine, text
from xlsxwriter import Workbook

from phase3_core.exports import ExportKind
from phase3_core.report import read_report
from resources.exports.campaign_exports import exporter_of
from resources.exports.files import Folder
from resources.exports.lead_list import LEAD_COLUMNS, pages, plain
from resources.postgres.database import PostgresDatabase, driver_url
from resources.postgres.embedded.server import running
from resources.postgres.upgrade import upgrade

FULL, TENTH = 42_100, 4_210
CALLS_PER_LEAD = 3
SAME_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
CAMPAIGN = text("INSERT INTO campaigns (id, name, status) VALUES (:id, :name, 'enriched')")
LEADS = text("""
INSERT INTO leads (campaign_id, first_name, last_name, title, company_name, company_domain, linkedin_url,
    lead_score, lead_tier, email, email_status, email_provider, email_verifier, email_cost,
    company_industry, company_employee_count, company_description, company_tech_stack, enrichment_status,
    enrichment_cost)
SELECT :id, 'First' || n, 'Last' || n, 'Chief Technology Officer', 'Company ' || n / 4, 'company' || n / 4
    || '.example', 'https://linkedin.example/in/first' || n, 100 - n % 100,
    CASE WHEN n % 17 < 4 THEN 'A' WHEN n % 17 < 11 THEN 'B' ELSE 'C' END, 'first' || n || '@company' || n / 4
    || '.example', 'valid', 'tomba', 'reoon', 0.021, 'Industrial machinery', 20 + n % 900,
    'Makes pumps, valves and fittings for water works, and looks after them since ' || 1900 + n % 120,
    '["PostgreSQL", "Salesforce", "React"]', 'enriched', 0.1
FROM generate_series(1, :leads) n
""")
CALLS = text("""
INSERT INTO provider_calls (key, provider, operation, request, state, outcome, cost_usd, campaign_id, lead_id,
    agent)
SELECT sha256((id::text || k)::bytea), (ARRAY['tomba', 'reoon', 'apollo'])[k],
    (ARRAY['find', 'verify', 'enrich'])[k], '{}', 'settled', 'hit', 0.01, campaign_id, id,
    (ARRAY['email_verification', 'email_verification', 'waterfall_enrichment'])[k]
FROM leads, generate_series(1, :calls) k WHERE campaign_id = :id
""")


def campaign_id(leads: int) -> UUID:
    return uuid5(UUID(int=0), str(leads))


def fill(url: str, leads: int) -> None:
    values = {"id": campaign_id(leads), "name": f"{leads:,} leads", "leads": leads, "calls": CALLS_PER_LEAD}
    with create_engine(driver_url(url)).begin() as connection:
        for statement in (CAMPAIGN, LEADS, CALLS):
            connection.execute(statement, {name: values[name] for name in statement.compile().params})
    with create_engine(driver_url(url), isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE"))


async def export(url: str, leads: int, folder: Path) -> int:
    """The report from the books, the workbook and the page, as agent 3.3 and `phase3 export` write them."""
    exporter = exporter_of([ExportKind.WORKBOOK, ExportKind.PAGE], Folder(folder))
    async with PostgresDatabase(url).reading() as books:
        report = await read_report(books, campaign_id(leads))
        campaign = await books.campaigns.campaign(campaign_id(leads))
        return (await exporter.write(campaign, report, books.leads)).workbook.rows


async def rows_of(url: str, leads: int) -> list[Mapping[str, Any]]:
    async with PostgresDatabase(url).reading() as books:
        return [row async for page in pages(books.leads, campaign_id(leads)) for row in page]


def alone(rows: Sequence[Mapping[str, Any]], place: Path) -> None:
    """The same cells on the same sheets, and nothing else."""
    book = Workbook(str(place), SAME_OPTIONS)
    sheets = {name: book.add_worksheet(name) for name in ("A", "B", "All")}
    filled = dict.fromkeys(sheets, 0)
    for row in rows:
        for name in (row["tier"], "All"):
            if name in sheets:
                filled[name] += 1
                sheets[name].write_row(filled[name], 0, row["cells"])
    book.close()


def cells(row: Mapping[str, Any]) -> dict[str, Any]:
    values = (row[column.key] for column in LEAD_COLUMNS)
    told = [value if isinstance(value, int | float) else plain(value) for value in values]
    return {"tier": row["tier"], "cells": [*told[:-1], float(row["cost_usd"])]}


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds by the wall, and of this process alone: the database's own work is not in `cpu_s`."""

    wall_s: float
    cpu_s: float


def timed(act: Callable[[], object]) -> Times:
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return Times(time.perf_counter() - wall, time.process_time() - cpu)


def rounds_of(url: str, folder: Path, rounds: int) -> list[tuple[Times, Times]]:
    """Alone and ours, each round after one to warm up."""
    rows = [cells(row) for row in asyncio.run(rows_of(url, FULL))]
    both = (lambda: alone(rows, folder / "alone.xlsx"), lambda: asyncio.run(export(url, FULL, folder)))
    return [round_of(*both, ours_first=bool(number % 2)) for number in range(rounds + 1)][1:]


def round_of(
    plainly: Callable[[], object], ours: Callable[[], object], *, ours_first: bool
) -> tuple[Times, Times]:
    """Alone, then ours, whichever began."""
    if ours_first:
        second, first = timed(ours), timed(plainly)
        return first, second
    return timed(plainly), timed(ours)


def peak_mb(url: str, folder: Path, leads: int) -> float:
    """Of a process of its own, beyond what it needed before it began."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.report",
        "--only",
        str(leads),
        "--url",
        url,
        "--folder",
        str(folder),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["peak_mb"])


def only(url: str, leads: int, folder: Path) -> None:
    """A tenth of the tenth first: imports and connections are not what is measured."""
    asyncio.run(export(url, TENTH // 10, folder))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(export(url, leads, folder))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_mb": (after - before) / 1_024}))


def measure(rounds: int) -> tuple[list[tuple[Times, Times]], dict[int, float]]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server's own user must pass
        folder = Path(directory) / "exports"
        folder.mkdir()
        with running(Path(directory) / "postgres") as server:
            upgrade(server.uri)
            for leads in (TENTH // 10, TENTH, FULL):
                fill(server.uri, leads)
            peaks = {leads: peak_mb(server.uri, folder, leads) for leads in (TENTH, FULL)}
            return rounds_of(server.uri, folder, rounds), peaks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--at-most", type=float, default=1.5, help="fail above this ratio of times")
    parser.add_argument(
        "--flat-mb", type=float, default=12, help="how much more all leads may take than a tenth"
    )
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        only(given.url, given.only, given.folder)
        return 0
    times, peaks = measure(given.rounds)
    return told(times, peaks, given.at_most, given.flat_mb)


def told(
    rounds: Sequence[tuple[Times, Times]], peaks: Mapping[int, float], at_most: float, flat_mb: float
) -> int:
    print(f"{'round':>5} {'XlsxWriter alone, s':>20} {'report + workbook, s':>21} {'ratio':>6} {'of CPU':>7}")
    for number, (plainly, ours) in enumerate(rounds, 1):
        ratio, of_cpu = ours.wall_s / plainly.wall_s, ours.cpu_s / plainly.cpu_s
        print(f"{number:>5} {plainly.wall_s:>20.2f} {ours.wall_s:>21.2f} {ratio:>6.2f} {of_cpu:>7.2f}")
    usual = median(ours.wall_s / plainly.wall_s for plainly, ours in rounds)
    more = peaks[FULL] - peaks[TENTH]
    print(f"median of the ratios {usual:.2f} for {FULL:,} ready leads (at most {at_most} wanted)")
    print(
        f"peak memory beyond imports: {peaks[TENTH]:.1f} MB for {TENTH:,}, {peaks[FULL]:.1f} MB for {FULL:,}"
    )
    return 0 if usual <= at_most and more <= flat_mb else 1


if __name__ == "__main__":
    sys.exit(main())
