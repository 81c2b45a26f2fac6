"""What a valid and a ready lead cost: the seed's waterfall as it was, the defaults, `cheapest_valid`.

Reference world, a few seeds, each way with a fresh database and a fresh sandbox; what is compared is the bill
of the vendors. The leads come as two campaigns that share no company, a pilot and the rest: the rest is
estimated before anything was ever paid, again with the pilot's history, and held against what it then cost.
Prints Markdown; `--estimates` leaves costs aside and holds estimates of many campaigns against the truth.

First the seed's way: finders in its order, no guesses, every lead asks for itself (`benchmarks/unshared.py`).
"""

import argparse
import csv
import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from io import StringIO
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any
from zlib import crc32

from benchmarks import aside
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


COLD, WARM = "before anything was paid", "after a pilot"
SEED = Way("seed order, nothing shared", "guessing = false", "benchmarks.unshared")
DEFAULTS = Way("defaults", "")
CHEAPEST = Way("cheapest_valid", 'order = "cheapest_valid"')


@dataclass(frozen=True, slots=True)
class Estimate:
    """USD expected, and the interval that the truth should be in."""

    expected: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Of the interval, beside what is expected."""
        return (self.high - self.low) / self.expected

    def holds(self, usd: Decimal) -> bool:
        return self.low <= usd <= self.high


@dataclass(frozen=True, slots=True)
class Cost:
    """A whole campaign. USD by the vendors' bill; the rest of the leads as it cost and as estimated when."""

    seed: int
    way: Way
    valid: int
    ready: int
    emails: Decimal
    total: Decimal
    rest: Decimal
    estimates: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def per_valid(self) -> Decimal:
        return self.emails / self.valid

    @property
    def per_ready(self) -> Decimal:
        return self.total / self.ready


def phase3(way: Way, *words: str) -> str:
    start = "from phase3_assets.cli import main; main()"
    command = [sys.executable, *(("-m", way.module) if way == SEED else ("-c", start)), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"phase3 {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout.strip()


@contextmanager
def place(way: Way, seed: int, scale: float, prices: str) -> Iterator[tuple[vendor_sandbox.Sandbox, Path]]:
    """A database and vendors of its own, with the way's settings."""
    options = ("--seed", str(seed), "--scale", str(scale), "--latency-ms", "0", "--rate-factor", "100000")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server's own user must pass
        own = Path(directory) / "phase3.toml"
        state = {"PHASE3_STATE_DIR": directory, "PHASE3_EXPORTS_DIR": f"{directory}/exports"}
        with (
            workplace.environment(**state),
            workplace.database(aside),
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
        estimates = {} if way == SEED else {COLD: estimated(way, rest)}
        ended = [run(way, pilot)]
        if way != SEED:
            estimates[WARM] = estimated(way, rest)
        ended.append(run(way, rest))
        billed = Decimal(str(json.loads(box.text("bill"))["total_usd"]))
        told = usd(ended, "total")
        if way != SEED and billed != told:  # unshared, a record under contract is free again
            raise SystemExit(f"the ledger says ${told}, the bill ${billed}")
        return Cost(
            seed=seed,
            way=way,
            valid=sum(one["result"]["emails_verified"] for one in ended),
            ready=sum(one["result"]["total_ready"] for one in ended),
            emails=usd(ended, "email_verification"),
            total=billed,
            rest=usd(ended[1:], "total"),
            estimates=estimates,
        )


def run(way: Way, campaign: str) -> dict[str, Any]:
    ended: dict[str, Any] = json.loads(phase3(way, "run", campaign, "--json", "--force-continue"))
    return ended


def estimated(way: Way, campaign: str) -> Estimate:
    cost = json.loads(phase3(way, "estimate", campaign, "--json"))["cost_usd"]
    return Estimate(*(float(cost[name]) for name in ("expected", "low", "high")))


def usd(ended: list[dict[str, Any]], what: str) -> Decimal:
    return sum((Decimal(str(one["costs"][what])) for one in ended), Decimal(0))


def costs(ways: Sequence[Way], seeds: Sequence[int], given: argparse.Namespace) -> Iterator[Cost]:
    """Of each seed each way, some at once in processes of their own: they mostly wait for vendors."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.at_once, spawning, max_tasks_per_child=1) as pool:
        asked = [
            pool.submit(cost_of, way, seed, given.scale, given.prices) for seed, way in product(seeds, ways)
        ]
        for one in asked:
            cost = one.result()
            print(f"seed {cost.seed}, {cost.way.name}: ${cost.total}", file=sys.stderr, flush=True)
            yield cost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.02)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--prices", choices=("list", "seed"), default="list", help="of today, or as reported")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--estimates", action="store_true", help="of the defaults alone, without the costs")
    given = parser.parse_args()
    ways = (DEFAULTS,) if given.estimates else (SEED, DEFAULTS, CHEAPEST)
    known = list(costs(ways, given.seeds, given))
    cheap = given.estimates or show_costs(known)
    return 0 if show_estimates(known) and cheap else 1


def show_costs(known: Sequence[Cost]) -> bool:
    """Whether ours cost as little as they must."""
    firsts = {cost.seed: cost for cost in known if cost.way == SEED}
    print("| seed | | valid | USD for each | of the first | ready | USD for each | of the first |")
    print("|---|---|---|---|---|---|---|---|")
    for cost in known:
        print(cost_line(cost, firsts[cost.seed]))
    kept = [_keeps(cost, firsts[cost.seed]) for cost in known if cost.way != SEED]
    print(f"\nAt most {MOST_OF_THE_FIRST} of the first, at no fewer valid: {sum(kept)} of {len(kept)}.\n")
    return all(kept)


def cost_line(cost: Cost, first: Cost) -> str:
    return (
        f"| {cost.seed} | {cost.way.name} "
        f"| {cost.valid:,} | {cost.per_valid:.5f} | {cost.per_valid / first.per_valid:.2f} "
        f"| {cost.ready:,} | {cost.per_ready:.5f} | {cost.per_ready / first.per_ready:.2f} |"
    )


def _keeps(cost: Cost, first: Cost) -> bool:
    per_valid, per_ready = cost.per_valid / first.per_valid, cost.per_ready / first.per_ready
    return max(per_valid, per_ready) <= MOST_OF_THE_FIRST and cost.valid >= first.valid


def show_estimates(known: Sequence[Cost]) -> bool:
    """Whether enough intervals hold the truth."""
    print(f"| seed | | USD | estimated {COLD} | | {WARM} | |")
    print("|---|---|---|---|---|---|---|")
    for cost in known:
        if cost.estimates:
            print(estimate_line(cost))
    print()
    ways = sorted({cost.way for cost in known if cost.estimates}, key=lambda way: way.name)
    told = [_enough(way, when, known) for way in ways for when in (COLD, WARM)]
    return all(told)


def estimate_line(cost: Cost) -> str:
    cells = [_cells(cost.estimates[when], cost.rest) for when in (COLD, WARM)]
    return f"| {cost.seed} | {cost.way.name} | {cost.rest:.2f} | {' | '.join(cells)} |"


def _cells(one: Estimate, paid: Decimal) -> str:
    verdict = "inside" if one.holds(paid) else "outside"
    return f"{one.expected:.2f} ({one.low:.2f} to {one.high:.2f}) | {verdict}"


def _enough(way: Way, when: str, known: Sequence[Cost]) -> bool:
    own = [cost for cost in known if cost.way == way]
    inside = sum(cost.estimates[when].holds(cost.rest) for cost in own)
    width = mean(cost.estimates[when].width for cost in own)
    paid = mean(float(cost.rest) / cost.estimates[when].expected for cost in own)
    print(
        f"- {way.name}, {when}: inside in {inside} of {len(own)}; the interval is {width:.2f} of what is "
        f"expected, and {paid:.2f} of that was paid, on average"
    )
    return inside >= INSIDE_AT_LEAST * len(own)


if __name__ == "__main__":
    sys.exit(main())
