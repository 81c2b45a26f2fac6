"""Whole campaigns through `phase3 run`: leads per second, CPU, peak memory; then the same campaign again.

The sandbox answers at once and sets no limits, so that what is measured is ours. Beside the run's own
processor time stands what a lead costs the sandbox, which is no part of the product, and the database server.
`--scales 10` is a campaign of 421,000 leads. Prints a table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.request import urlopen

from benchmarks import aside
from benchmarks.processes import Family, child_running, server_of
from phase3_assets import vendor_sandbox, workplace

MOST_MB = 500
LONGEST_S = 86_400
AT_ONCE = ("--latency-ms", "0", "--rate-factor", "100000", "--prices", "seed")
FULL = 42_100  # leads, from which on start-up is nothing
MOST_AGAIN = 0.10  # of the first run's CPU
MOST_GROWTH_CPU, MOST_GROWTH_MB = 1.1, 1.3  # from a full campaign to a larger one, for each lead and in all


@dataclass(frozen=True, slots=True)
class Measured:
    """One `phase3 run`: seconds, CPU seconds, peak resident megabytes of its process, and its output JSON.

    `beside`: CPU seconds of those who worked for it.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    result: Mapping[str, object]
    beside: Mapping[str, float]


NOBODY: Mapping[str, Family] = {}


def phase3(*words: str, environment: Mapping[str, str], beside: Mapping[str, Family] = NOBODY) -> Measured:
    command = [sys.executable, "-c", "from phase3_assets.cli import main; main()", *words]
    before = {name: family.cpu_s for name, family in beside.items()}
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out, env=dict(environment))
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        out.seek(0)
        told = out.read()
    if child.returncode:
        raise SystemExit(f"phase3 {' '.join(words)} ended with {child.returncode}")
    result = json.loads(told) if told.lstrip().startswith("{") else {"id": told.strip()}
    worked = {name: family.cpu_s - before[name] for name, family in beside.items()}
    return Measured(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, result, worked)


@dataclass(frozen=True, slots=True)
class Campaign:
    """Its import and two runs, each in a process of its own. `paid_once`: the second was billed nothing."""

    leads: int
    made: Measured
    first: Measured
    second: Measured
    paid_once: bool


def written(box: vendor_sandbox.Sandbox, place: Path) -> int:
    """The sandbox's leads; how many. Never whole in memory: a child's peak is at least its parent's size."""
    with urlopen(f"{box.url}/_sandbox/leads.csv", timeout=LONGEST_S) as page, place.open("wb") as file:
        return sum(bool(file.write(line)) for line in page) - 1


def campaign(scale: float) -> Campaign:
    options = [*AT_ONCE, "--scale", str(scale), "--max-seconds", str(LONGEST_S)]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server's own user must pass
        place = {"PHASE3_STATE_DIR": directory, "PHASE3_EXPORTS_DIR": f"{directory}/exports"}
        with (
            workplace.environment(**place),
            workplace.database(aside) as server,
            vendor_sandbox.pointed_at(vendor_sandbox.started(*options)) as box,
        ):
            beside = {"sandbox": child_running("sandbox"), "server": server_of(server)}
            run_beside = partial(phase3, environment=os.environ, beside=beside)
            leads = Path(directory) / "leads.csv"
            count = written(box, leads)
            made = run_beside("import", str(leads), "--name", "Benchmark")
            words = ("run", str(made.result["id"]), "--json", "--force-continue")
            first = run_beside(*words)
            bill = json.loads(box.text("bill"))["total_usd"]
            second = run_beside(*words)
            again = json.loads(box.text("bill"))["total_usd"]
            print(f"scale {scale}: billed ${bill} by the first run, ${again} after the second")
            return Campaign(count, made, first, second, paid_once=bill == again)


@dataclass(frozen=True, slots=True)
class Figure:
    """What is wanted of a campaign, in words, and what it came to."""

    of: str
    is_: float
    most: float

    @property
    def told(self) -> str:
        return f"{self.of}: {self.is_:.3g}, at most {self.most:g} wanted"


def figures(done: Sequence[Campaign]) -> Iterator[Figure]:
    for one in done:
        yield Figure(f"MB, peak of {one.leads:,} leads", max(one.first.peak_mb, one.second.peak_mb), MOST_MB)
    full = [one for one in done if one.leads >= FULL]
    for one in full:
        again = one.second.cpu_s / one.first.cpu_s
        yield Figure(f"CPU of the second run to the first, {one.leads:,} leads", again, MOST_AGAIN)
    for smaller, larger in pairwise(full):
        grown = f"{larger.leads:,} leads to {smaller.leads:,}"
        cpu = [one.first.cpu_s / one.leads for one in (larger, smaller)]
        yield Figure(f"CPU of a lead, {grown}", cpu[0] / cpu[1], MOST_GROWTH_CPU)
        yield Figure(f"memory, {grown}", larger.first.peak_mb / smaller.first.peak_mb, MOST_GROWTH_MB)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", type=float, nargs="+", default=[0.01, 1.0])
    given = parser.parse_args()
    done = [campaign(scale) for scale in sorted(given.scales)]
    print(f"{'':<47} {'ms of CPU per lead':^27}")
    print(
        f"{'leads':>7} {'':<11} {'CPU s':>8} {'seconds':>8} {'leads/s':>8} {'run':>8} {'sandbox':>9} "
        f"{'server':>8} {'peak MB':>8}"
    )
    for one in done:
        for name, run in (("import", one.made), ("first run", one.first), ("second run", one.second)):
            beside = [1000 * run.beside[who] / one.leads for who in ("sandbox", "server")]
            print(
                f"{one.leads:>7,} {name:<11} {run.cpu_s:>8.1f} {run.seconds:>8.1f} "
                f"{one.leads / run.seconds:>8.1f} {1000 * run.cpu_s / one.leads:>8.2f} {beside[0]:>9.2f} "
                f"{beside[1]:>8.2f} {run.peak_mb:>8.0f}"
            )
    wanted = [*figures(done)]
    billed = [f"{one.leads:,} leads: the second run was billed" for one in done if not one.paid_once]
    print("\n".join(["", *(figure.told for figure in wanted), *billed]))
    return 1 if billed or any(figure.is_ > figure.most for figure in wanted) else 0


if __name__ == "__main__":
    sys.exit(main())
