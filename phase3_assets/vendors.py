"""`phase3 providers`: who is usable, why not, what is left, how good they were; a probe of one question."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from rich.table import Table

from phase3_assets.troubles import breaker_in_words
from phase3_core.breaker import Closed
from phase3_core.calls import Gap, NoAnswer
from phase3_core.errors import BadInput
from phase3_core.leads import Lead
from phase3_core.money import Money, usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.assembly import postgres_breakers, postgres_ledger, postgres_limits
from resources.clock import SystemClock
from resources.http_client import http_client
from resources.names import mailbox_names
from resources.postgres.breakers import PostgresBreakers
from resources.postgres.database import PostgresDatabase
from resources.postgres.rate_limits import Use, in_use
from resources.postgres.scorecard import Score, scores
from resources.providers.gates import CALLS, kind_of
from resources.providers.open_providers import OneProvider, OpenProviders
from resources.providers.request import Question
from resources.providers.roster import Entry
from resources.providers.source import VendorSource
from resources.settings import read_settings, settings_path

SCORED_DAYS = 30
NO_CAMPAIGN = UUID(int=0)  # a probe belongs to nobody's campaign


@dataclass(frozen=True, slots=True)
class Probe:
    """One known person, and USD that asking about them may cost in all."""

    email: str
    name: str
    cap: Money

    def lead(self) -> Lead:
        first, _, last = self.name.strip().partition(" ")
        domain = self.email.rpartition("@")[2].lower()
        if not (first and domain and "." in domain):
            raise BadInput("A probe needs a known person: --probe dana@acme.com --name 'Dana Reyes'")
        company = domain.partition(".")[0].title()
        names = mailbox_names(first, last)
        return Lead(
            uuid4(),
            NO_CAMPAIGN,
            first,
            last,
            company,
            domain,
            Tier.A,
            100,
            email=self.email,
            mailbox_names=names,
        )


def vendor_source() -> VendorSource:
    settings = read_settings(settings_path())
    opened = postgres_ledger(settings.ledger.ttl_s)
    return VendorSource(
        settings,
        os.environ,
        opened,
        SystemClock(),
        breakers=postgres_breakers,
        open_limits=postgres_limits,
    )


def provider_rows(url: str, probe: Probe | None) -> list[dict[str, Any]]:
    """One object per provider, in the order of asking. A probe pays, up to its cap, and is in the ledger."""
    return asyncio.run(rows_of(url, vendor_source(), probe))


async def rows_of(url: str, source: VendorSource, probe: Probe | None) -> list[dict[str, Any]]:
    async with PostgresDatabase(url, longest_outage_s=0).reading() as books:
        record = await scores(books.engine, SCORED_DAYS)
        use = await in_use(books.engine)
        names = [each.row.name for each in source.roster.entries()]
        fares = (await PostgresBreakers(books.engine).tell({}, names)).breakers
    left = await _balances(source)
    asked = await asked_of_all(url, source, probe) if probe else {}
    return [
        _row(each, record, left)
        | _of_limits(each, source, use)
        | {"breaker": breaker_in_words(fares.get(each.row.name, Closed()))}
        | asked.get(each.row.spec.label, {})
        for each in source.roster.entries()
    ]


async def _balances(source: VendorSource) -> dict[str, Decimal | None]:
    usable = {each.row.name: each.row for each in source.roster.entries() if not each.why_not}
    async with http_client() as http:
        told = await asyncio.gather(*(source.balance(row, http) for row in usable.values()))
    return dict(zip(usable, told, strict=True))


def _row(entry: Entry, record: dict[str, Score], left: dict[str, Decimal | None]) -> dict[str, Any]:
    name, terms = entry.row.name, entry.terms
    score, balance = record.get(name, Score(name)), left.get(name)
    return {
        "provider": entry.row.spec.label,
        "role": entry.row.spec.role.value,
        "usable": not entry.why_not,
        "why_not": entry.why_not,
        "price_usd": str(terms.price.per_credit),
        "billing": terms.price.billing.value,
        "replay": terms.replay.value,
        "credits_left": None if balance is None else str(balance),
        "calls_today": score.today,
        "per_day": terms.limits.per_day,
        "calls": score.calls,
        "hits": score.hits,
        "error_rate": score.error_rate,
        "valid_rate": score.valid_rate,
        "cost_per_valid_usd": None if score.cost_per_valid is None else str(score.cost_per_valid),
        "p50_ms": score.p50_ms,
        "p95_ms": score.p95_ms,
    }


def _of_limits(entry: Entry, source: VendorSource, use: dict[str, Use]) -> dict[str, Any]:
    """Today's use of the account's limits by all runs; `strain` above 1: everybody goes slower."""
    now, limits = Use(), entry.terms.limits
    if not entry.why_not:
        now = use.get(kind_of(source.roster.account_name(entry.row), CALLS), now)
    return {
        "requests_today": now.used_today,
        "places_held": now.held,
        "in_flight": limits.in_flight,
        "per_minute": None if limits.rate is None else round(limits.rate * 60, 3),
        "strain": now.strain,
    }


async def asked_of_all(url: str, source: VendorSource, probe: Probe) -> dict[str, dict[str, Any]]:
    lead = probe.lead()
    run = Run(f"probe-{uuid4()}", NO_CAMPAIGN, Agent.EMAIL_VERIFICATION)
    async with (
        PostgresDatabase(url, longest_outage_s=0).open(run) as books,
        source.open(run, books) as providers,
    ):
        return {one.name: await _asked(one, providers, lead, probe) for one in providers.all}


async def _asked(one: OneProvider, providers: OpenProviders, lead: Lead, probe: Probe) -> dict[str, Any]:
    if providers.spent + one.price.ceiling > probe.cap:
        return {"probe": "not asked: the cap would be passed"}
    match await one.client.ask(Question(lead, lead.email, one.client.options)):
        case NoAnswer(Gap.NO_INPUT):
            return {"probe": "not asked: it needs more than name and domain"}
        case NoAnswer(_, detail):
            return {"probe": f"no answer as documented: {detail}"}
        case reply:
            return {"probe": f"as documented: {type(reply).__name__.lower()}"}


def provider_table(rows: Iterable[dict[str, Any]]) -> Table:
    columns = (
        "provider",
        "role",
        "usable",
        "USD",
        "left",
        "today",
        "pace",
        "in flight",
        "calls",
        "hits",
        "valid",
        "USD/valid",
    )
    table = Table(*columns, "p50/p95 ms", "errors", "probe")
    for row in rows:
        today = f"{row['requests_today']:,}" + (f" of {row['per_day']:,}" if row["per_day"] else "")
        pace = f"{row['per_minute']:,g}/min" if row["per_minute"] else ""
        slower = f" ÷ {row['strain']:g}" if row["strain"] > 1 else ""
        flying = f"{row['places_held']:,}/{row['in_flight']:,}"
        speed = f"{row['p50_ms']}/{row['p95_ms']}" if row["calls"] else ""
        valid = "" if row["valid_rate"] is None else f"{row['valid_rate']:.0%}"
        table.add_row(
            row["provider"],
            row["role"],
            row["why_not"] or ("yes" if row["breaker"] == "closed" else f"breaker {row['breaker']}"),
            f"{usd(row['price_usd']).normalize():f}",
            row["credits_left"] or "",
            today,
            pace + slower,
            flying,
            f"{row['calls']:,}",
            f"{row['hits']:,}",
            valid,
            row["cost_per_valid_usd"] or "",
            speed,
            f"{row['error_rate']:.1%}" if row["calls"] else "",
            row.get("probe", ""),
        )
    return table
