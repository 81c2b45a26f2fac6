"""What an approver decides, from a shell or in Slack."""

import json
from contextlib import suppress
from typing import Annotated

import typer

from phase3_assets import workplace
from phase3_assets.commands.shell import CampaignArgument, Json, tell

By = Annotated[str, typer.Option(help="who decides: a name among the approvers")]
Report = Annotated[
    str, typer.Option(help="first digits of the hash of the report that you read; no other is decided on")
]
Feedback = Annotated[str, typer.Option(help="what is wrong or missing")]


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


def reject(
    campaign: CampaignArgument, by: By, feedback: Feedback, report: Report = "", as_json: Json = False
) -> None:
    """Close the campaign: nothing of it goes on to phase 4, and nothing more is spent."""
    _decide(campaign, "reject", by, as_json=as_json, report=report, feedback=feedback)


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
