"""`phase3 demo`: the reference campaign end to end against the sandbox, and its bill against the ledger."""

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from phase3_assets import vendor_sandbox
from phase3_assets.importing import import_file
from phase3_assets.looking import look
from phase3_assets.running import Options, run_campaign
from phase3_core.counts import ProviderSpend
from phase3_core.money import usd
from phase3_core.summary import cost_of

NAME = "Reference campaign, {leads:,} leads"
FAST = 200  # the sandbox's accounts allow this many times the usual rates, so that a demo takes a minute


def run_demo(url: str, scale: float, words: Console) -> int:
    """Exit code of the run; 1 as well when the bill and the ledger differ."""
    options = ("--scale", str(scale), "--rate-factor", str(FAST), "--latency-ms", "10")
    with vendor_sandbox.pointed_at(vendor_sandbox.started(*options)) as running:
        campaign_id = _campaign(url, running, words)
        earlier = look(url, lambda books: books.campaigns.spend(campaign_id))
        preset = "pilot" if scale < 1 else "standard"
        ended = run_campaign(url, str(campaign_id), Options(preset=preset), words)
        typer.echo(json.dumps(ended.result, indent=2))
        spend = look(url, lambda books: books.campaigns.spend(campaign_id))
        _show(url, campaign_id, spend, words)
        agree = _compare(json.loads(running.text("bill")), earlier, spend, words)
        if ended.failure:
            words.print(ended.failure, markup=False, soft_wrap=True)
        words.print("See it in the Dagster UI: .venv/bin/phase3 dev --sandbox", markup=False)
        return ended.exit_code or (0 if agree else 1)


def _campaign(url: str, running: vendor_sandbox.Sandbox, words: Console) -> UUID:
    """The demo's campaign, imported once per database; a second demo goes over the same one."""
    leads = running.text("leads.csv")
    name = NAME.format(leads=leads.count("\n") - 1)
    for row in look(url, lambda books: books.campaigns.overview()):
        if row.name == name:
            words.print(
                f"{name} is in this database already: nothing that was paid is paid again.", soft_wrap=True
            )
            return row.id
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "leads.csv"
        file.write_text(leads, encoding="utf-8")
        return import_file(url, file, name, lambda line: words.print(line, markup=False, soft_wrap=True))


def _show(url: str, campaign_id: UUID, spend: list[ProviderSpend], words: Console) -> None:
    table = Table(
        "provider", "calls", "hits", "misses", "errors", "USD", title="Calls and costs, from the ledger"
    )
    for row in spend:
        counts = (row.calls, row.hits, row.misses, row.errors)
        table.add_row(row.provider, *(f"{count:,}" for count in counts), str(row.cost + row.unknown))
    words.print(table)
    workbook = look(url, lambda books: books.campaigns.workbook(campaign_id))
    words.print(f"Workbook: {workbook or 'none yet'}", markup=False, soft_wrap=True)


def _compare(
    bill: dict[str, object], earlier: list[ProviderSpend], spend: list[ProviderSpend], words: Console
) -> bool:
    """The vendors' bill of this demo against what the ledger says this demo spent."""
    billed = usd(Decimal(str(bill["total_usd"])))
    booked = cost_of(spend) - cost_of(earlier)
    words.print(f"The sandbox billed ${billed}; the ledger booked ${booked} for this run.", soft_wrap=True)
    return billed == booked
