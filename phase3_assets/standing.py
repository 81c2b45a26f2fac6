"""`phase3 status CAMPAIGN`: how far it is; in a terminal redrawn while a run works on it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlalchemy import Row

from phase3_assets.looking import look
from phase3_assets.troubles import troubles
from phase3_assets.views import campaign_rows, troubles_of
from phase3_core.counts import ProviderSpend
from phase3_core.money import ZERO
from phase3_core.statuses import BETWEEN_AGENTS, Agent, CampaignStatus
from phase3_core.summary import cost_of
from resources.postgres.database import PostgresBooks

EVERY_S = 2.0
BETWEEN_AGENTS_S = 60.0  # a run's next step has begun by then
WORKING = {CampaignStatus.VERIFYING_EMAILS, CampaignStatus.ENRICHING}


@dataclass(frozen=True, slots=True)
class Pace:
    """One agent of the newest run, by its last checkpoint; times in seconds.

    `spent_usd` is the ledger's, of all runs: a run that was cut short has settled more than it had told.
    """

    agent: str
    done: int
    total: int
    spent_usd: str
    ended: bool
    worked_s: float
    idle_s: float

    @property
    def rate(self) -> float | None:
        """Leads per second since the agent began, as its last checkpoint knew it."""
        return self.done / self.worked_s if self.worked_s > 0 else None

    @property
    def left_s(self) -> float | None:
        """At this rate, from now on; None where there is nothing to go by."""
        if self.ended or not self.rate:
            return None
        return max((self.total - self.done) / self.rate - self.idle_s, 0.0)


@dataclass(frozen=True, slots=True)
class Standing:
    """A campaign at one moment: its row of `phase3 status`, its agents, and whom not to count on.

    What the agents spent, with those that were at work in `earlier` runs alone, comes to the campaign's.
    """

    campaign: Mapping[str, Any]
    agents: tuple[Pace, ...]
    troubles: Mapping[str, str]
    earlier: Mapping[str, str] = field(default_factory=dict)

    @property
    def goes_on(self) -> bool:
        """Whether a run works on it, as far as its state tells; a dead run's is put right by the sensors."""
        status = self.campaign["status"]
        idle_s = min((pace.idle_s for pace in self.agents), default=0.0)
        return status in WORKING or (status in BETWEEN_AGENTS and idle_s < BETWEEN_AGENTS_S)


def standing(url: str, name: str) -> Standing:
    """Raises UnknownCampaign."""
    (campaign,) = campaign_rows(url, name)
    rows, spend = look(url, lambda books: _work_and_spend(books, UUID(campaign["id"])))
    spent = {agent.value: str(amount) for agent in Agent if (amount := cost_of(spend, agent))}
    paces = tuple(_pace(row, spent.pop(row.agent_id, str(ZERO))) for row in rows)
    return Standing(campaign | {"spent_usd": str(cost_of(spend))}, paces, look(url, troubles), spent)


async def _work_and_spend(
    books: PostgresBooks, campaign_id: UUID
) -> tuple[list[Row[Any]], list[ProviderSpend]]:
    return await books.checkpoints.latest(campaign_id), await books.campaigns.spend(campaign_id)


def _pace(row: Row[Any], spent_usd: str) -> Pace:
    return Pace(
        row.agent_id,
        row.items_processed,
        row.items_total,
        spent_usd,
        row.status != "in_progress",
        row.worked_s,
        row.idle_s,
    )


def show_standing(url: str, name: str, console: Console) -> None:
    """Once where nobody looks or nothing moves; else until the run ends, or Ctrl-C."""
    now = standing(url, name)
    if not (console.is_terminal and now.goes_on):
        console.print(drawn(now))
        return
    with suppress(KeyboardInterrupt), Live(drawn(now), console=console, auto_refresh=False) as live:
        for later in _until_it_rests(url, name):
            live.update(drawn(later), refresh=True)


def _until_it_rests(url: str, name: str) -> Iterator[Standing]:
    goes_on = True
    while goes_on:
        time.sleep(EVERY_S)
        now = standing(url, name)
        yield now
        goes_on = now.goes_on


def drawn(now: Standing) -> Group:
    table = Table("agent", "leads", "leads/s", "time left", "spent USD")
    for pace in now.agents:
        table.add_row(*agent_row(pace, goes_on=now.goes_on))
    for agent, spent_usd in now.earlier.items():
        table.add_row(agent.replace("_", " "), "", "", "earlier runs", spent_usd)
    return Group(headline(now.campaign), table, *map(Text, lines(now)))


def headline(row: Mapping[str, Any]) -> Text:
    counts = (f"{row[count]:,} {count}" for count in ("leads", "verified", "enriched", "ready"))
    return Text(f"{row['name']}: {row['status']}, {', '.join(counts)}, {row['spent_usd']} USD")


def agent_row(pace: Pace, *, goes_on: bool) -> tuple[str, str, str, str, str]:
    rate = "" if pace.rate is None else f"{pace.rate:,.1f}"
    name, leads = pace.agent.replace("_", " "), f"{pace.done:,} / {pace.total:,}"
    return name, leads, rate, _time_left(pace, goes_on=goes_on), pace.spent_usd


def _time_left(pace: Pace, *, goes_on: bool) -> str:
    if pace.ended:
        return "done"
    if not goes_on:
        return "at rest"
    return "" if pace.left_s is None else str(timedelta(seconds=round(pace.left_s)))


def lines(now: Standing) -> list[str]:
    """What else there is to know, one thing a line: budgets, providers, who waits, what is stuck."""
    budgets = (
        f"{one['of']}: {one['spent_usd']} of {one['cap_usd']} USD spent" for one in now.campaign["budgets"]
    )
    return [
        *budgets,
        *(f"{provider}: {why}" for provider, why in now.troubles.items()),
        *troubles_of(now.campaign),
    ]
