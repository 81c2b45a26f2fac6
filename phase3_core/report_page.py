"""The tier report as people read it: sections of words, tables and charts, from the report's JSON.

HTML, Markdown and the workbook's summary are drawn from these values, so they say the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from phase3_core.approval_request import HASH_SHOWN
from phase3_core.budget import NAMES
from phase3_core.money import ZERO, Money, ratio, total, usd
from phase3_core.presentation import (
    NONE,
    Bar,
    Chart,
    Column,
    Figure,
    Kind,
    ReportPage,
    Section,
    Table,
    shown,
    words,
)

MOST_BARS = 12


def report_page(report: Mapping[str, Any]) -> ReportPage:
    return ReportPage(
        title=report["campaign"] or report["campaign_id"],
        campaign_id=report["campaign_id"],
        tag=report["report_hash"][:HASH_SHOWN],
        figures=tuple(_figures(report)),
        sections=tuple(section(report) for section in _SECTIONS),
    )


def _figures(report: Mapping[str, Any]) -> Iterator[Figure]:
    funnel = report["funnel"]
    yield Figure("Ready leads", f"{funnel['ready']:,} of {funnel['leads']:,}")
    yield Figure("Cost", shown(report["costs"]["total"], Kind.MONEY))
    yield Figure("Per ready lead", shown(report["cost_per_ready_usd"], Kind.MONEY))
    yield Figure("Find rate", shown(report["find_rate"], Kind.RATE))
    yield Figure("Valid rate", shown(report["valid_rate"], Kind.RATE))
    yield Figure("Quality", shown(report["quality"]["overall"], Kind.RATE))
    if suppressed := report.get("suppressed"):
        yield Figure("Suppressed leads", shown(suppressed, Kind.COUNT))


def _funnel(report: Mapping[str, Any]) -> Section:
    funnel: Mapping[str, int] = report["funnel"]
    before = [funnel["leads"], *funnel.values()]
    rows = [
        {
            "step": words(step),
            "leads": number,
            "of_all": ratio(number, funnel["leads"]),
            "of_step": ratio(number, earlier),
        }
        for (step, number), earlier in zip(funnel.items(), before, strict=False)
    ]
    columns = (
        Column("step", "Step"),
        Column("leads", "Leads", Kind.COUNT),
        Column("of_all", "Of all leads", Kind.RATE),
        Column("of_step", "Of the step before", Kind.RATE),
    )
    bars = [_bar(words(step), number, funnel["leads"]) for step, number in funnel.items()]
    return Section(
        "From lead to ready lead",
        Table(columns, rows),
        "Accepted: verification took the address. Ready: accepted and enriched.",
        Chart("Leads at each step", bars),
    )


def _tiers(report: Mapping[str, Any]) -> Section:
    columns = (
        Column("tier", "Tier"),
        Column("total", "Leads", Kind.COUNT),
        Column("verified", "Verified", Kind.COUNT),
        Column("enriched", "Enriched", Kind.COUNT),
        Column("ready", "Ready", Kind.COUNT),
        Column("average_score", "Average score", Kind.SCORE),
        Column("cost_usd", "Cost (USD)", Kind.MONEY),
        Column("cost_per_ready_usd", "Per ready lead (USD)", Kind.MONEY),
    )
    bars = [_bar(f"Tier {row['tier']}", row["ready"], row["total"]) for row in report["tiers"]]
    return Section(
        "Tiers",
        Table(columns, report["tiers"]),
        "The average score is that of the ready leads.",
        Chart("Ready leads of all leads, by tier", bars),
    )


def _quality(report: Mapping[str, Any]) -> Section:
    rows = [{"name": words(name), "score": score} for name, score in report["quality"].items()]
    columns = (Column("name", "Score"), Column("score", "Value", Kind.RATE))
    return Section(
        "Quality",
        Table(columns, rows),
        "Validity: accepted of found. Enrichment: enriched of accepted. Readiness: ready of all. "
        "Overall weighs them 0.4, 0.3, 0.3.",
    )


def _providers(report: Mapping[str, Any]) -> Section:
    columns = (
        Column("provider", "Provider"),
        Column("agent", "Agent"),
        Column("calls", "Calls", Kind.COUNT),
        Column("hits", "Hits", Kind.COUNT),
        Column("misses", "Misses", Kind.COUNT),
        Column("errors", "Errors", Kind.COUNT),
        Column("valid_rate", "Valid rate", Kind.RATE),
        Column("cost_usd", "Cost (USD)", Kind.MONEY),
        Column("unknown_usd", "Bill not known (USD)", Kind.MONEY),
        Column("cost_per_valid_usd", "Per valid address (USD)", Kind.MONEY),
        Column("share", "Share of cost", Kind.RATE),
    )
    rows = [{**row, "agent": words(NAMES[row["agent"]])} for row in report["providers"]]
    return Section(
        "Providers",
        Table(columns, rows),
        "Valid: accepted by verification, of the addresses that this finder found. "
        "The price of a valid address holds the finder's own calls, not those of verifiers.",
        Chart("Cost by provider", _cost_bars(report["providers"])),
        "No call was made.",
    )


def _cost_bars(rows: Iterable[Mapping[str, Any]]) -> list[Bar]:
    """The dearest first; those beyond a dozen together."""
    paid = [(row["provider"], usd(row["total_usd"])) for row in rows if usd(row["total_usd"])]
    paid.sort(key=lambda pair: -pair[1])
    if len(paid) > MOST_BARS:
        others = paid[MOST_BARS - 1 :]
        paid = [*paid[: MOST_BARS - 1], (f"{len(others)} others", total(cost for _, cost in others))]
    most = float(max((cost for _, cost in paid), default=ZERO))
    return [Bar(name, float(cost), most, shown(cost, Kind.MONEY)) for name, cost in paid]


def _sources(report: Mapping[str, Any]) -> Section:
    columns = (
        Column("source", "Source"),
        Column("found", "Found", Kind.COUNT),
        Column("accepted", "Accepted", Kind.COUNT),
        Column("valid_rate", "Valid rate", Kind.RATE),
    )
    return Section(
        "Where the addresses came from",
        Table(columns, report["sources"]),
        "delivered: phase 2 brought it. pattern_guess: made from the company's usual addresses.",
    )


def _budget(report: Mapping[str, Any]) -> Section:
    columns = (
        Column("what", "For"),
        Column("spent", "Spent (USD)", Kind.MONEY),
        Column("cap", "Budget (USD)", Kind.MONEY),
        Column("left", "Left (USD)", Kind.MONEY),
        Column("used", "Used", Kind.RATE),
    )
    rows = [
        {"what": what, "spent": spent, **_against(spent, report["budget"].get(scope))}
        for scope, what, spent in _spent(report)
    ]
    return Section(
        "Cost against budget",
        Table(columns, rows),
        "Agents make up the total, and so do tiers. A bill that is not known counts at its worst.",
    )


def _spent(report: Mapping[str, Any]) -> Iterator[tuple[str, str, Money]]:
    for name in ("email_verification", "enrichment"):
        yield name, f"Agent: {words(name).lower()}", usd(report["costs"][name])
    for row in report["tiers"]:
        yield f"tier_{row['tier'].lower()}", f"Tier {row['tier']}", usd(row["cost_usd"])
    if nobody := usd(report["cost_of_no_lead_usd"]):
        yield "no_lead", "Leads deleted since", nobody
    yield "total", "Total", usd(report["costs"]["total"])


def _against(spent: Money, cap: str | None) -> dict[str, Any]:
    if cap is None:
        return {"cap": None, "left": None, "used": None}
    return {"cap": usd(cap), "left": usd(cap) - spent, "used": ratio(spent, usd(cap))}


def _statuses(report: Mapping[str, Any]) -> Section:
    rows = [{"status": words(status), "leads": number} for status, number in report["email_status"].items()]
    columns = (Column("status", "Status"), Column("leads", "Leads", Kind.COUNT))
    return Section("Addresses by status", Table(columns, rows), "Valid and risky addresses are accepted.")


def _skipped(report: Mapping[str, Any]) -> Section:
    notes = [{"provider": NONE, "why": note} for note in report.get("notes", ())]
    columns = (Column("provider", "Provider"), Column("why", "Why"))
    return Section(
        "Skipped, and what went wrong",
        Table(columns, [*report["skipped"], *notes]),
        nothing="Every provider was there.",
    )


def _waiting(report: Mapping[str, Any]) -> Section:
    columns = (
        Column("leads", "Leads", Kind.COUNT),
        Column("provider", "Wait for"),
        Column("why", "Why"),
        Column("until", "Until (UTC)"),
    )
    return Section(
        "Left for later",
        Table(columns, report["waiting_for"]),
        "The sensor waiting_leads starts the campaign again then; without a time somebody has to act.",
        nothing="No lead waits for a provider.",
    )


def _rest(report: Mapping[str, Any]) -> Section:
    columns = (
        Column("leads", "Leads", Kind.COUNT),
        Column("why", "Why they are not ready"),
        Column("do", "What it would take"),
        Column("estimate_usd", "At this campaign's cost so far (USD)", Kind.MONEY),
    )
    return Section(
        "What it would take to get the rest", Table(columns, report["rest"]), nothing="Every lead is ready."
    )


_SECTIONS = (
    _funnel,
    _tiers,
    _quality,
    _providers,
    _sources,
    _budget,
    _statuses,
    _skipped,
    _waiting,
    _rest,
)


def _bar(label: str, value: int, whole: int) -> Bar:
    return Bar(label, value, whole, f"{value:,} ({shown(ratio(value, whole), Kind.RATE)})")
