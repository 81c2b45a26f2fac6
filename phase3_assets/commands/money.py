"""What it costs: before, as it is capped, by the vendors' word, and as it might have been."""

import json
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
)
from phase3_assets.terminal import Terminal

Cap = Annotated[str | None, typer.Option(help="USD; `none`: as the settings say", metavar="USD")]


def estimate(campaign: CampaignArgument, as_json: Json = False, use_sandbox: UseSandbox = False) -> None:
    """What a run would ask, find and cost, and when it would be done; nothing is asked, nothing paid."""
    from phase3_assets.estimating import estimate_campaign, show_estimate

    with database(use_sandbox=use_sandbox) as url:
        estimated = estimate_campaign(url, campaign)
        told = estimated.as_json()
        if as_json:
            print(json.dumps(told, indent=2), flush=True)
        else:
            show_estimate(told, Terminal())
        with loading():
            from phase3_assets.announcing import announce
        announce(estimated.campaign, estimated.forecast, tell)


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
        show(simulate_campaign(url, campaign, wish), simulation_table, as_json=as_json)
