"""A campaign from its file to its lists, and what became of a lead of it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from phase3_assets import workplace
from phase3_assets.commands.shell import (
    CampaignArgument,
    Json,
    UseSandbox,
    database,
    loading,
    show,
    tell,
    words,
)
from phase3_assets.terminal import Terminal
from phase3_core.errors import BadInput

Preset = Annotated[str | None, typer.Option(help="thresholds: standard or pilot")]
Force = Annotated[bool, typer.Option("--force-continue", help="go on below a threshold")]


def import_leads(
    file: Annotated[Path, typer.Argument(help="CSV with a header line")],
    name: Annotated[str, typer.Option(help="the campaign's name")],
) -> None:
    """Make a campaign of the leads in a CSV file; prints its id. Bad rows are reported by line."""
    from phase3_assets.importing import import_file

    with workplace.database(tell) as url:
        print(import_file(url, file, name, tell))


def run(
    campaign: CampaignArgument,
    as_json: Json = False,
    preset: Preset = None,
    force_continue: Force = False,
    use_sandbox: UseSandbox = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="with --json: a JSON line for each step, the result last")
    ] = False,
) -> None:
    """Run the Dagster job on one campaign and wait for it. Running again resumes and pays nothing twice."""
    with loading():
        from phase3_assets.running import Options, run_campaign
    from phase3_assets.views import result_table

    with database(use_sandbox=use_sandbox) as url:
        if follow and not as_json:
            raise BadInput("--follow tells JSON lines: give --json too.")
        outcome = run_campaign(url, campaign, Options(preset, force_continue), words, follow=follow)
        if follow:
            print(json.dumps({"event": "result", **outcome.result}))
        else:
            show(outcome.result, result_table, as_json=as_json)
        if outcome.failure:
            tell(outcome.failure)
        raise typer.Exit(outcome.exit_code)


def result(campaign: CampaignArgument, as_json: Json = False) -> None:
    """The campaign's result so far."""
    from phase3_assets.running import campaign_result
    from phase3_assets.views import result_table

    with workplace.database(tell) as url:
        show(campaign_result(url, campaign), result_table, as_json=as_json)


def status(
    campaign: Annotated[str | None, typer.Argument(help="one campaign; default all")] = None,
    as_json: Json = False,
) -> None:
    """Campaigns, how far they are, what they cost; one campaign agent by agent, while a run works on it."""
    from phase3_assets.standing import show_standing
    from phase3_assets.troubles import cases
    from phase3_assets.views import campaign_rows, campaign_table

    with workplace.database(tell) as url:
        if campaign and not as_json:
            show_standing(url, campaign, Terminal())
        else:
            show(campaign_rows(url, campaign), campaign_table, as_json=as_json)
        for one in cases(url):
            tell(one.told)


def export(
    campaign: CampaignArgument,
    workbook: Annotated[bool, typer.Option("--workbook", help="summary and lists as a workbook")] = False,
    html: Annotated[bool, typer.Option("--html", help="the report as one HTML file")] = False,
    report_json: Annotated[
        bool, typer.Option("--report-json", help="the report as JSON, with exact amounts")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="the ready leads as CSV")] = False,
    sheets: Annotated[
        bool, typer.Option("--sheets", help="the lists as tabs of the Google spreadsheet")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="directory; default $PHASE3_EXPORTS_DIR, else ./exports")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write lists and report again, from the database; prints where they are. Default: as a run does."""
    from phase3_assets.exporting import export_campaign, places
    from phase3_core.exports import ExportKind

    wanted = {
        ExportKind.WORKBOOK: workbook,
        ExportKind.PAGE: html,
        ExportKind.JSON: report_json,
        ExportKind.CSV: csv,
        ExportKind.SHEETS: sheets,
    }
    with workplace.database(tell) as url:
        kinds = [kind for kind, wish in wanted.items() if wish]
        published = export_campaign(url, campaign, kinds, out)
    if as_json:
        print(json.dumps([export.as_json() for export in published.exports], indent=2))
    else:
        print(*places(published), sep="\n")
    for note in published.notes:
        tell(note)


def trace(
    lead: Annotated[str, typer.Argument(help="a lead's id, or its address")],
    as_json: Json = False,
) -> None:
    """Every call of one lead: when, what it cost, what came of it, and why it was the next step."""
    from phase3_assets.tracing import trace_lead, trace_table

    with workplace.database(tell) as url:
        show(trace_lead(url, lead), trace_table, as_json=as_json)
