"""The catalogue as a page: `python -m resources.providers.page > docs/providers.md`."""

import sys
from collections.abc import Iterable

from phase3_core.calls import Billing, ReplayClass, Role
from resources.providers.balances import BALANCES
from resources.providers.catalogue import CATALOGUE, Row
from resources.providers.gate import Limits

HEAD = """# Providers

Made from the catalogue in `resources/providers/catalogue.py`, in the order in which they are asked. Prices
are list prices in USD for one credit and limits those of a usual paid plan; write those of your own contract
into `phase3.toml`. A provider without its variables is skipped, and the report says so. One that is marked
*unconfirmed* rests on guesses about its protocol and needs `opt_in = true` besides its key.

Replay says what the vendor does when the same question is asked again after its answer was lost, and so
whether we ask again: *free* and *on a hit* once, *per call* never, *job* by reading the job.

Every vendor's address can be replaced by `<NAME>_BASE_URL`.
"""

BILLING = {
    Billing.FREE: "free",
    Billing.PER_CALL: "per call",
    Billing.PER_HIT: "per hit",
    Billing.PER_CREDIT: "as the answer says",
}
REPLAY = {
    ReplayClass.FREE: "free",
    ReplayClass.ON_HIT: "on a hit",
    ReplayClass.PER_CALL: "per call",
    ReplayClass.JOB: "job",
}
TITLES = {Role.FINDER: "Finders", Role.VERIFIER: "Verifiers", Role.ENRICHER: "Enrichers"}
COLUMNS = ("provider", "set", "price", "billed", "limits", "replay", "source, date read", "note")


def page() -> str:
    """Markdown with one table for each role."""
    return HEAD + "".join(_section(role) for role in Role)


def _section(role: Role) -> str:
    rows: dict[str, Row] = {}
    for row in CATALOGUE:
        if row.spec.role is role:
            rows.setdefault(_shown_as(row), row)
    lines = [_line(COLUMNS), _line("---" for _ in COLUMNS), *(_line(_cells(row)) for row in rows.values())]
    return f"\n## {TITLES[role]}\n\n" + "\n".join(lines) + "\n"


def _shown_as(row: Row) -> str:
    """Several questions to one vendor under the same terms are one line."""
    return f"{row.name} {row.spec.secrets} {row.terms.note}"


def _cells(row: Row) -> list[str]:
    terms = row.terms
    window = f" for {terms.replay_window.days} days" if terms.replay_window else ""
    sure = "" if terms.confirmed else " (*unconfirmed*)"
    balance = "; balance readable" if row.name in BALANCES else ""
    return [
        f"`{row.name}`{sure}",
        ", ".join(f"`{name}`" for name in row.spec.secrets),
        f"{terms.price.per_credit.normalize():f}" if terms.price.per_credit else "0",
        BILLING[terms.price.billing],
        _limits(terms.limits),
        REPLAY[terms.replay] + window,
        f"{terms.source}, {terms.read_on}",
        terms.note + balance,
    ]


def _limits(limits: Limits) -> str:
    told = (
        (limits.per_second, "a second"),
        (limits.per_minute, "a minute"),
        (limits.per_hour, "an hour"),
        (limits.per_day, "a day"),
        (limits.reads_per_minute, "readings a minute"),
        (limits.in_flight, "in flight"),
    )
    return ", ".join(f"{most:,.0f} {span}" for most, span in told if most)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(page())
