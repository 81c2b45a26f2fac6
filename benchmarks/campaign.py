"""Whole campaigns through `phase3 run`: leads per second, CPU, peak memory; then the same campaign again.

The sandbox answers at once and sets no limits, so that what is measured is ours. Prints a table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import aside
from phase3_assets import vendor_sandbox, workplace

MOST_MB = 500


@dataclass(frozen=True, slots=True)
class Measured:
    """One `phase3 run`: seconds, CPU seconds, peak resident megabytes of its process, and its output JSON."""

    seconds: float
    cpu_s: float
    peak_mb: float
    result: Mapping[str, object]


def phase3(*words: str, environment: Mapping[str, str]) -> Measured:
    command = [sys.executable, "-c", "from phase3_assets.cli import main; main()", *words]
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
    return Measured(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, result)


def campaign(scale: float) -> list[tuple[str, int, Measured]]:
    """A first run and a second one of the same campaign, each in a process of its own."""
    options = ("--scale", str(scale), "--latency-ms", "0", "--rate-factor", "100000", "--prices", "seed")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server's own user must pass
        place = {"PHASE3_STATE_DIR": directory, "PHASE3_EXPORTS_DIR": f"{directory}/exports"}
        with (
            workplace.environment(**place),
            workplace.database(aside),
            vendor_sandbox.pointed_at(vendor_sandbox.started(*options)) as box,
        ):
            leads = Path(directory) / "leads.csv"
            leads.write_text(box.text("leads.csv"), encoding="utf-8")
            count = leads.read_text(encoding="utf-8").count("\n") - 1
            made = phase3("import", str(leads), "--name", "Benchmark", environment=os.environ)
            words = ("run", str(made.result["id"]), "--json", "--force-continue")
            first = phase3(*words, environment=os.environ)
            bill = json.loads(box.text("bill"))["total_usd"]
            second = phase3(*words, environment=os.environ)
            again = json.loads(box.text("bill"))["total_usd"]
            print(f"scale {scale}: billed ${bill} by the first run, ${again} after the second")
            return [("first run", count, first), ("second run", count, second)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", type=float, nargs="+", default=[0.01, 1.0])
    given = parser.parse_args()
    rows = [row for scale in given.scales for row in campaign(scale)]
    print(
        f"{'leads':>7} {'':<11} {'seconds':>8} {'leads/s':>8} {'CPU s':>7} {'ms CPU/lead':>11} {'peak MB':>8}"
    )
    for name, leads, run in rows:
        print(
            f"{leads:>7,} {name:<11} {run.seconds:>8.1f} {leads / run.seconds:>8.1f} {run.cpu_s:>7.1f} "
            f"{1000 * run.cpu_s / leads:>11.2f} {run.peak_mb:>8.0f}"
        )
    return 0 if all(run.peak_mb < MOST_MB for _, _, run in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
