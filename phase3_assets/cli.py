"""`phase3`: the same assets from a shell. Data on stdout, words and progress on stderr.

Exit codes: 0 completed or pending approval, 2 bad input, 3 stopped at a threshold, 1 failed.
Dagster is imported only by the commands that need it.
"""

import errno
import gc
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from phase3_assets import workplace
from phase3_assets.terminal import Terminal
from phase3_core.errors import BadInput, OutsideFailure, Phase3Error

app = typer.Typer(
    help="Find, verify and enrich a campaign's leads; never pay a vendor twice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
app.add_typer(db, name="db")

words = Terminal(stderr=True)

# A command is about a second of loading modules, whose objects stay: little is found by looking for garbage.
LOADED_BETWEEN_COLLECTIONS = 50_000

CampaignArgument = Annotated[str, typer.Argument(help="id, the beginning of one, or name")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout and nothing else")]
Preset = Annotated[str | None, typer.Option(help="thresholds: standard or pilot")]
Force = Annotated[bool, typer.Option("--force-continue", help="go on below a threshold")]
By = Annotated[str, typer.Option(help="who decides: a name among the approvers")]
Report = Annotated[
    str, typer.Option(help="first digits of the hash of the report that you read; no other is decided on")
]
Feedback = Annotated[str, typer.Option(help="what is wrong or missing")]
UseSandbox = Annotated[bool, typer.Option("--sandbox", help="ask the sandbox, not the real vendors")]

Cap = Annotated[str | None, typer.Option(help="USD; `none`: as the settings say", metavar="USD")]


def tell(sentence: str) -> None:
    words.print(sentence, soft_wrap=True, markup=False)


@app.command("import")
def import_leads(
    file: Annotated[Path, typer.Argument(help="CSV with a header line")],
    name: Annotated[str, typer.Option(help="the campaign's name")],
) -> None:
    """Make a campaign of the leads in a CSV file; prints its id. Bad rows are reported by line."""
    from phase3_assets.importing import import_file

    with workplace.database(tell) as url:
        print(import_file(url, file, name, tell))


@app.command()
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


@app.command()
def result(campaign: CampaignArgument, as_json: Json = False) -> None:
    """The campaign's result so far."""
    from phase3_assets.running import campaign_result
    from phase3_assets.views import result_table

    with workplace.database(tell) as url:
        show(campaign_result(url, campaign), result_table, as_json=as_json)


@app.command()
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


@app.command()
def estimate(campaign: CampaignArgument, as_json: Json = False, use_sandbox: UseSandbox = False) -> None:
    """What a run would ask, find and cost, and when it would be done; nothing is asked, nothing paid."""
    from phase3_assets.estimating import estimate_campaign, show_estimate

    with ExitStack() as stack:
        url = stack.enter_context(workplace.database(tell))
        if use_sandbox:
            stack.enter_context(in_sandbox())
        estimated = estimate_campaign(url, campaign)
        told = estimated.as_json()
        if as_json:
            print(json.dumps(told, indent=2), flush=True)
        else:
            show_estimate(told, Terminal())
        with loading():
            from phase3_assets.announcing import announce
        announce(estimated.campaign, estimated.forecast, tell)


@app.command()
def reconcile(
    provider: Annotated[str, typer.Option(help="only this one")] = "",
    accept: Annotated[str, typer.Option(help="count anew from this one's balance of now")] = "",
    as_json: Json = False,
    use_sandbox: UseSandbox = False,
) -> None:
    """Hold vendors' balances against the ledger; exit code 1 where they drift apart."""
    from phase3_assets.reconciling import Wish, accounts_now, accounts_table

    with database(use_sandbox=use_sandbox) as url:
        accounts = accounts_now(url, Wish(provider, accept))
        if as_json:
            print(json.dumps(accounts.as_json(), indent=2))
        else:
            Terminal().tabulate(accounts_table(accounts))
    for one in accounts.cases:
        tell(one.told)
    raise typer.Exit(1 if accounts.cases else 0)


@app.command()
def budget(
    campaign: CampaignArgument,
    email_verification: Cap = None,
    enrichment: Cap = None,
    tier_a: Cap = None,
    tier_b: Cap = None,
    tier_c: Cap = None,
    as_json: Json = False,
) -> None:
    """The campaign's caps and what is spent under each; with options: caps of its own, from now on."""
    from phase3_assets.budgeting import budget_rows
    from phase3_assets.views import budget_table

    wishes = {
        "email_verification": email_verification,
        "enrichment": enrichment,
        "tier_a": tier_a,
        "tier_b": tier_b,
        "tier_c": tier_c,
    }
    with workplace.database(tell) as url:
        show(budget_rows(url, campaign, wishes), budget_table, as_json=as_json)


@app.command()
def providers(
    probe: Annotated[str | None, typer.Option(help="an address you know: ask each one about it")] = None,
    name: Annotated[str, typer.Option(help="with --probe: whose address it is")] = "",
    cap: Annotated[str, typer.Option(help="with --probe: USD that it may cost in all")] = "0.50",
    as_json: Json = False,
    use_sandbox: UseSandbox = False,
) -> None:
    """Who is usable and why not, what is left in the accounts, how good and how dear they were."""
    from phase3_assets.amounts import amount_given
    from phase3_assets.vendors import Probe, provider_rows, provider_table

    asked = Probe(probe, name, amount_given("cap", cap)) if probe else None
    with database(use_sandbox=use_sandbox) as url:
        rows = provider_rows(url, asked)
        show(rows, provider_table, as_json=as_json)


@app.command("suppress")
def suppress_who(
    who: Annotated[str, typer.Argument(help="an address, a domain, or a .csv file of them")],
    reason: Annotated[str, typer.Option(help="kept with the entry")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="take off the list")] = False,
) -> None:
    """Put people or companies on the suppression list: no vendor is asked about them from now on."""
    from phase3_assets.suppressing import suppress_all

    with workplace.database(tell) as url:
        print(suppress_all(url, who, reason, tell, remove=remove))


@app.command("forget")
def forget_who(
    who: Annotated[str, typer.Argument(help="a person's address, or the id of a lead")],
    as_json: Json = False,
) -> None:
    """Erase a person from leads, ledger and exports, keep the amounts, and never ask about them again."""
    from phase3_assets.forgetting import forget_person, forgotten_table, sentences

    with workplace.database(tell) as url:
        told = forget_person(url, who).as_json()
    if as_json:
        print(json.dumps(told, indent=2))
    elif told["vendors"]:
        Terminal().tabulate(forgotten_table(told))
    for sentence in sentences(told):
        tell(sentence)
    raise typer.Exit(1 if told["exports_left"] else 0)


@app.command()
def approve(
    campaign: CampaignArgument,
    by: By,
    tier_a_only: Annotated[bool, typer.Option("--tier-a-only", help="phase 4 gets tier A alone")] = False,
    report: Report = "",
    as_json: Json = False,
) -> None:
    """Let the campaign go on to phase 4."""
    decision = "approve_tier_a_only" if tier_a_only else "approve_full"
    _decide(campaign, decision, by, as_json=as_json, report=report)


@app.command()
def reject(
    campaign: CampaignArgument, by: By, feedback: Feedback, report: Report = "", as_json: Json = False
) -> None:
    """Close the campaign: nothing of it goes on to phase 4, and nothing more is spent."""
    _decide(campaign, "reject", by, as_json=as_json, report=report, feedback=feedback)


@app.command("request-more")
def request_more(
    campaign: CampaignArgument, by: By, feedback: Feedback, report: Report = "", as_json: Json = False
) -> None:
    """Have what is missing tried again; the next `phase3 run`, or the sensor, does it."""
    _decide(campaign, "request_more_enrichment", by, as_json=as_json, report=report, feedback=feedback)


def _decide(campaign: str, decision: str, by: str, *, as_json: bool, **given: str) -> None:
    from phase3_assets.deciding import decide_from_shell
    from phase3_core.approval import Decision

    with workplace.database(tell) as url:
        decided = decide_from_shell(url, campaign, Decision(decision), by, **given)
        if as_json:
            print(json.dumps(decided, indent=2))
        tell(f"{decision.replace('_', ' ')}, by {decided['decided_by']}. {decided['next']}")


@app.command()
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


@app.command()
def trace(
    lead: Annotated[str, typer.Argument(help="a lead's id, or its address")],
    as_json: Json = False,
) -> None:
    """Every call of one lead: when, what it cost, what came of it, and why it was the next step."""
    from phase3_assets.tracing import trace_lead, trace_table

    with workplace.database(tell) as url:
        show(trace_lead(url, lead), trace_table, as_json=as_json)


@app.command()
def simulate(
    campaign: CampaignArgument,
    order: Annotated[str, typer.Option(help="finders, with commas between; or cheapest_valid")] = "",
    without: Annotated[list[str] | None, typer.Option(help="a provider left out; may be repeated")] = None,
    max_providers: Annotated[int | None, typer.Option(help="finders asked about a lead at most")] = None,
    accept_risky: Annotated[
        bool, typer.Option("--accept-risky", help="addresses on catch-all domains, without a second opinion")
    ] = False,
    as_json: Json = False,
) -> None:
    """What another policy would have found and cost, from the ledger: nothing is asked, nothing paid."""
    from phase3_assets.simulating import Wish, simulate_campaign, simulation_table

    wish = Wish(order, tuple(without or ()), max_providers, accept_risky)
    with workplace.database(tell) as url:
        compared = simulate_campaign(url, campaign, wish)
        if as_json:
            print(json.dumps(compared, indent=2))
        else:
            Terminal().tabulate(simulation_table(compared))


@app.command()
def slack(
    port: Annotated[
        int | None,
        typer.Option(help="listen over HTTP on 127.0.0.1; default: Socket Mode, no address needed"),
    ] = None,
) -> None:
    """Take decisions from buttons in Slack until Ctrl-C, and keep the messages up to date."""
    import asyncio

    from phase3_assets.listening import serve_slack

    with workplace.database(tell) as url, suppress(KeyboardInterrupt):
        asyncio.run(serve_slack(url, port, tell))


@app.command()
def demo(
    scale: Annotated[float, typer.Option(help="1.0 is the full reference campaign of 42,100 leads")] = 0.01,
) -> None:
    """The whole job on an embedded PostgreSQL and the vendor sandbox; no keys, nothing to pay."""
    from phase3_assets.demo import run_demo

    with workplace.database(tell) as url:
        raise typer.Exit(run_demo(url, scale, words))


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="of the UI, on 127.0.0.1")] = 3000,
    use_sandbox: UseSandbox = False,
) -> None:
    """Open the Dagster UI with database, code and daemon wired; Ctrl-C ends all of it."""
    from phase3_assets.developing import serve

    with database(use_sandbox=use_sandbox) as url:
        raise typer.Exit(serve(url, port, tell))


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="on 127.0.0.1; 0: any free one")] = 0,
    scale: Annotated[float, typer.Option(help="of the reference world; 1.0 is 42,100 leads")] = 0.01,
    seed: Annotated[int, typer.Option(help="another seed is another world")] = 7,
    latency_ms: Annotated[int, typer.Option(help="mean time to answer")] = 20,
    rate_factor: Annotated[float, typer.Option(help="how many times the usual rates are allowed")] = 200,
) -> None:
    """Serve the vendors' stand-in until Ctrl-C; prints the variables that point to it, for a shell."""
    wanted = {"--port": port, "--scale": scale, "--seed": seed, "--latency-ms": latency_ms}
    wanted["--rate-factor"] = rate_factor
    options = ["--strangers", *(str(word) for option in wanted.items() for word in option)]
    from phase3_assets import vendor_sandbox

    with (
        vendor_sandbox.started(*options) as running,
        vendor_sandbox.noted(running),
        suppress(KeyboardInterrupt),
    ):
        settings = running.settings_file(workplace.state_dir())
        for variable, value in {**running.variables, "PHASE3_SETTINGS": str(settings)}.items():
            print(f"export {variable}={shlex.quote(value)}", flush=True)
        tell(f"The sandbox answers at {running.url}; `phase3 run --sandbox` uses it. Ctrl-C ends it.")
        running.wait()


@db.command()
def upgrade() -> None:
    """Bring the schema up to date: ours, and the one that holds Dagster's tables."""
    from phase3_assets.upgrading import upgrade_all

    with workplace.database(tell) as url:
        for applied in upgrade_all(url):
            print(applied)


@db.command("prune")
def prune_old(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="tell what would be erased, erase nothing")
    ] = False,
    as_json: Json = False,
) -> None:
    """Erase old answers, and the people of campaigns that have ended, by [retention]; amounts stay."""
    from phase3_assets.pruning import in_a_sentence, prune

    with workplace.database(tell) as url:
        told = prune(url, dry_run=dry_run)
    if as_json:
        print(json.dumps(told, indent=2))
    tell(in_a_sentence(told))
    raise typer.Exit(1 if told["exports_left"] else 0)


@contextmanager
def loading() -> Iterator[None]:
    """Dagster's modules make hundreds of thousands of objects that stay: nothing to collect among them."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def database(*, use_sandbox: bool) -> Iterator[str]:
    """The URL of the database; where it is wished, with the sandbox in the place of the vendors."""
    with ExitStack() as stack:
        url = stack.enter_context(workplace.database(tell))
        if use_sandbox:
            stack.enter_context(in_sandbox())
        yield url


def in_sandbox() -> Any:
    """Keys, base URLs and settings of the sandbox, for as long as the command runs."""
    from phase3_assets import vendor_sandbox

    return vendor_sandbox.pointed_at(vendor_sandbox.at_hand("--strangers", "--rate-factor", "200"))


def show(told: Any, table: Callable[[Any], Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        Terminal().tabulate(table(told))


@contextmanager
def told_in_full() -> Iterator[None]:
    """Raises OutsideFailure where that finds no room. A reader who has gone needs no word."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as failure:
        if failure.errno not in {errno.ENOSPC, errno.EPIPE}:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes once more at its end
        if failure.errno == errno.EPIPE:
            sys.exit(1)
        raise OutsideFailure("No space is left where this is written to.") from None


def main() -> None:
    """A mistake of the user's is one line and an exit code, never a traceback."""
    gc.set_threshold(LOADED_BETWEEN_COLLECTIONS)
    try:
        with told_in_full():
            app()
    except Phase3Error as failure:
        tell(str(failure))
        sys.exit(failure.exit_code)
    finally:
        gc.freeze()  # a process that ends looks for garbage once more: with Dagster loaded for half a second
