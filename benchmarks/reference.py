"""The reference campaign as it was reported, and with our defaults: hits per finder, costs, what is saved.

First the reported waterfall (all seven finders in order, no guesses) at the reported prices: the hits of
each finder and their costs must come out to the cent. Then the same leads with pattern guesses.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from benchmarks import aside
from phase3_assets import vendor_sandbox, workplace
from phase3_assets.looking import look
from phase3_core.statuses import Agent
from phase3_core.summary import cost_of

REPORTED_HITS = {
    "tomba": 18_000,
    "muraena": 8_500,
    "voila_norbert": 5_200,
    "nimbler": 3_100,
    "icypeas": 2_100,
    "anymailfinder": 1_200,
    "findymail": 400,
}
PRICES = {
    "tomba": "0.002",
    "muraena": "0.012",
    "voila_norbert": "0.015",
    "nimbler": "0.02",
    "icypeas": "0.02",
    "anymailfinder": "0.03",
    "findymail": "0.04",
}
UNCONFIRMED = ("muraena", "nimbler")
ONLY_AGENT_ONE = "[thresholds]\nmin_emails = 1000000000\n"  # the run stops before enrichment
STOPPED = 3


def settings(price_list: str, *, guessing: bool) -> str:
    """The sandbox's price list, the two unconfirmed finders opted in, guesses on or off."""
    for name in UNCONFIRMED:
        table = f"[providers.{name}]"
        price_list = price_list.replace(table, f"{table}\nopt_in = true\nper_minute = 1000000")
    waterfall = f"[waterfall]\nguessing = {str(guessing).lower()}\n"
    return price_list + waterfall + ONLY_AGENT_ONE


def phase3(*words: str, expected: int = 0) -> str:
    command = [sys.executable, "-c", "from phase3_assets.cli import main; main()", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        raise SystemExit(f"phase3 {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout.strip()


def found(scale: float, *, guessing: bool) -> tuple[Mapping[str, int], Decimal, int]:
    """Hits per provider, USD of agent 3.1, accepted leads: of a fresh database and a fresh sandbox."""
    options = ("--scale", str(scale), "--latency-ms", "0", "--rate-factor", "100000", "--prices", "seed")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server's own user must pass
        own = Path(directory) / "phase3.toml"
        place = {"PHASE3_STATE_DIR": directory, "PHASE3_EXPORTS_DIR": f"{directory}/exports"}
        with (
            workplace.environment(**place),
            workplace.database(aside) as url,
            vendor_sandbox.pointed_at(vendor_sandbox.started(*options)) as box,
            workplace.environment(PHASE3_SETTINGS=str(own)),
        ):
            own.write_text(settings(box.text("settings.toml"), guessing=guessing), encoding="utf-8")
            leads = Path(directory) / "leads.csv"
            leads.write_text(box.text("leads.csv"), encoding="utf-8")
            campaign = UUID(phase3("import", str(leads), "--name", "Reference"))
            phase3("run", str(campaign), "--json", expected=STOPPED)
            spend = look(url, lambda books: books.campaigns.spend(campaign))
            counts = look(url, lambda books: books.campaigns.counts(campaign))
            cost = cost_of(spend, Agent.EMAIL_VERIFICATION)
            bill = json.loads(box.text("bill"))["total_usd"]
            if cost != Decimal(bill):
                raise SystemExit(f"the ledger says ${cost}, the bill ${bill}")
            hits = Counter[str]()
            for row in spend:
                hits[row.provider] += row.hits
            return hits, cost, sum(tier.accepted for tier in counts.tiers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    scale = parser.parse_args().scale
    hits, reported_cost, accepted = found(scale, guessing=False)
    expected = {name: round(count * scale) for name, count in REPORTED_HITS.items()}
    print(f"{'finder':<14} {'hits':>7} {'reported':>9} {'USD':>9}")
    for name, count in expected.items():
        usd = Decimal(PRICES[name]) * hits[name]
        print(f"{name:<14} {hits[name]:>7,} {count:>9,} {usd:>9.2f}")
    _, cost, accepted_too = found(scale, guessing=True)
    saved = reported_cost - cost
    print(f"reported waterfall: {accepted:,} accepted for ${reported_cost:.2f} with verification")
    print(f"with guesses:       {accepted_too:,} accepted for ${cost:.2f}")
    print(f"saved ${saved:.2f}, {saved / reported_cost:.1%}, at {accepted_too - accepted:+,} accepted leads")
    return 0 if all(hits[name] == count for name, count in expected.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
