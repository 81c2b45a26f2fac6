"""What a valid and a ready lead cost: the seed's waterfall as it was, the defaults, `cheapest_valid`.

Reference world, a few seeds, each way with a fresh database and a fresh sandbox; what is compared is the bill
of the vendors. The leads come as two campaigns that share no company, a pilot and the rest: the rest is
estimated before anything was ever paid, again with the pilot's history, and held against what it then cost.

First the seed's way: finders in its order, no guesses, every lead asks for itself (`benchmarks/unshared.py`).
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from zlib import crc32

from benchmarks.reference import UNCONFIRMED
from phase3_assets import vendor_sandbox, workplace

PILOT_PART = 4  # a company in so many
MOST_OF_THE_FIRST = 0.75
INSIDE_AT_LEAST = 0.8


@dataclass(frozen=True, slots=True)
class Way:
    """How a campaign is worked on: `phase3` itself or a version of it, and the waterfall's settings."""

    name: str
    waterfall: str
    module: str = "phase3_assets.cli"


SEED = Way("seed order, nothing shared", "guessing = false", "benchmarks.unshared")
DEFAULTS = Way("defaults", "")
CHEAPEST = Way("cheapest_valid", 'order = "cheapest_valid"')


@dataclass(frozen=True, slots=True)
class Estimate:
    """USD expected, and the interval that the truth should be in."""

    expected: float
    low: float
    high: float

    def holds(self, usd: Decimal) -> bool:
        return self.low <= usd <= self.high


@dataclass(frozen=True, slots=True)
class Cost:
    """A whole campaign. USD by the vendors' bill; the rest of the leads as estimated and as it cost."""

    valid: int
    ready: int
    emails: Decimal
    total: Decimal
    rest: Decimal
    cold: Estimate
    warm: Estimate

    @property
    def per_valid(self) -> Decimal:
        return self.emails / self.valid

    @property
    def per_ready(self) -> Decimal:
        return self.total / self.ready


def phase3(way: Way, *words: str) -> str:
    start = "from phase3_assets.cli import main; main()"
    command = [sys.executable, *(("-m", way.module) if way is SEED else ("-c", start)), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"phase3 {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout.strip()


@contextmanager
def place(way: Way, seed: int, scale: float, prices: str) -> Iterator[tuple[vendor_sandbox.Sandbox, Path]]:
    """A database and vendors of its own, with the way's settings."""
    options = ("--seed", str(seed), "--scale", str(scale), "--latency-ms", "0", "--rate-factor", "100000")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o711)  # noqa: PTH101 - the server's own user must pass
        own = Path(directory) / "phase3.toml"
        state = {"PHASE3_STATE_DIR": directory, "PHASE3_EXPORTS_DIR": f"{directory}/exports"}
        with (
            workplace.environment(**state),
            workplace.database(lambda line: print(line, file=sys.stderr)),
            vendor_sandbox.pointed_at(vendor_sandbox.started(*options, "--prices", prices)) as box,
            workplace.environment(PHASE3_SETTINGS=str(own)),
        ):
            own.write_text(settings(box.text("settings.toml"), way), encoding="utf-8")
            yield box, Path(directory)


def settings(price_list: str, way: Way) -> str:
    for name in UNCONFIRMED:
        table = f"[providers.{name}]"
        price_list = price_list.replace(table, f"{table}\nopt_in = true\nper_minute = 1000000")
    return f"{price_list}\n[waterfall]\n{way.waterfall}\n"


def parts(leads: str) -> tuple[str, str]:
    """A pilot and the rest, as CSV; all leads of a company are in one of them."""
    rows = list(csv.DictReader(StringIO(leads)))
    texts = []
    for pilot in (True, False):
        out = StringIO()
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(row for row in rows if _in_pilot(row) is pilot)
        texts.append(out.getvalue())
    return texts[0], texts[1]


def _in_pilot(row: Mapping[str, str]) -> bool:
    return crc32((row["company_domain"] or row["company_name"]).encode()) % PILOT_PART == 0


def cost_of(way: Way, seed: int, scale: float, prices: str) -> Cost:
    with place(way, seed, scale, prices) as (box, directory):
        campaigns = []
        for name, text in zip(("pilot", "rest"), parts(box.text("leads.csv")), strict=True):
            file = directory / f"{name}.csv"
            file.write_text(text, encoding="utf-8")
            campaigns.append(phase3(way, "import", str(file), "--name", name))
        pilot, rest = campaigns
        cold = estimated(way, rest)
        ended = [run(way, pilot)]
        warm = estimated(way, rest)
        ended.append(run(way, rest))
        billed = Decimal(str(json.loads(box.text("bill"))["total_usd"]))
        if way is not SEED and billed != usd(
            ended, "total"
        ):  # unshared, a record under contract is free again
            raise SystemExit(f"the ledger says ${usd(ended, 'total')}, the bill ${billed}")
        return Cost(
            valid=sum(one["result"]["emails_verified"] for one in ended),
            ready=sum(one["result"]["total_ready"] for one in ended),
            emails=usd(ended, "email_verification"),
            total=billed,
            rest=usd(ended[1:], "total"),
            cold=cold,
            warm=warm,
        )


def run(way: Way, campaign: str) -> dict[str, Any]:
    ended: dict[str, Any] = json.loads(phase3(way, "run", campaign, "--json", "--force-continue"))
    return ended


def estimated(way: Way, campaign: str) -> Estimate:
    cost = json.loads(phase3(way, "estimate", campaign, "--json"))["cost_usd"]
    return Estimate(*(float(cost[name]) for name in ("expected", "low", "high")))


def usd(ended: list[dict[str, Any]], what: str) -> Decimal:
    return sum((Decimal(str(one["costs"][what])) for one in ended), Decimal(0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.02)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--prices", choices=("list", "seed"), default="list", help="of today, or as reported")
    given = parser.parse_args()
    print(
        f"{'seed':>4} {'':<26} {'valid':>6} {'ready':>6} {'USD/valid':>9} {'ratio':>5} {'USD/ready':>9} "
        f"{'ratio':>5}   rest: {'USD':>8} {'cold estimate':>27} {'with the pilot':>27}"
    )
    kept, inside = [], {"cold": 0, "warm": 0}
    for seed in given.seeds:
        first, *ours = (cost_of(way, seed, given.scale, given.prices) for way in (SEED, DEFAULTS, CHEAPEST))
        for way, cost in zip((SEED, DEFAULTS, CHEAPEST), (first, *ours), strict=True):
            print(line(seed, way, cost, first), flush=True)
        kept += [_keeps(cost, first) for cost in ours]
        inside["cold"] += ours[0].cold.holds(ours[0].rest)
        inside["warm"] += ours[0].warm.holds(ours[0].rest)
    seeds = len(given.seeds)
    print(f"at most {MOST_OF_THE_FIRST} of the first, at no fewer valid: {sum(kept)} of {len(kept)}")
    print(f"defaults inside the interval: cold {inside['cold']}, with the pilot {inside['warm']} of {seeds}")
    return 0 if all(kept) and min(inside.values()) >= INSIDE_AT_LEAST * seeds else 1


def _keeps(cost: Cost, first: Cost) -> bool:
    per_valid, per_ready = cost.per_valid / first.per_valid, cost.per_ready / first.per_ready
    return max(per_valid, per_ready) <= MOST_OF_THE_FIRST and cost.valid >= first.valid


def line(seed: int, way: Way, cost: Cost, first: Cost) -> str:
    estimates = (
        f"{one.expected:>8.2f} ({one.low:>7.2f}-{one.high:>7.2f}){' ' if one.holds(cost.rest) else '!'}"
        for one in (cost.cold, cost.warm)
    )
    return (
        f"{seed:>4} {way.name:<26} {cost.valid:>6,} {cost.ready:>6,} {cost.per_valid:>9.5f} "
        f"{cost.per_valid / first.per_valid:>5.2f} {cost.per_ready:>9.5f} "
        f"{cost.per_ready / first.per_ready:>5.2f}         {cost.rest:>8.2f} {' '.join(estimates)}"
    )


if __name__ == "__main__":
    sys.exit(main())
