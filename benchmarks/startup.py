"""A campaign of one lead ÷ an empty Dagster job of three assets: processes from start to end, in turns.

Both record into the same Dagster instance on PostgreSQL, both in the in-process executor, neither captures
the output of steps or logs to the console; the empty job opens the instance as Dagster does, and ends as any
process does: it looks for garbage among all that it loaded, which ours does not. Our modules are compiled
before what counts, as those of libraries are.

What vendors take is no start-up: they answer at once, those that are polled for their answer, at intervals of
their own choosing, have no key, and no web site is read, as that is done at a polite pace. All others are
asked until the lead is found, verified and enriched in full. Prints a table; the ratio of the medians is the
figure.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import aside
from phase3_assets import vendor_sandbox, workplace
from phase3_assets.instance import UNCAPTURED
from resources.providers.catalogue import CATALOGUE
from resources.providers.website import SANDBOX_WEB

MOST_TIMES = 1.5
VENDORS = ("--strangers", "--scale", "0.001", "--latency-ms", "0", "--rate-factor", "100000")
ONE_LEAD = "first_name,last_name,company_domain,lead_tier\n{first},{last},{domain},A\n"
PEOPLE = ("Ada Lovelace", "Grace Hopper", "Mary Cartwright", "Emmy Noether", "Sophie Germain")
PHASE3 = "from phase3_assets.cli import main; main()"
EMPTY = """
import json, os, sys
import dagster as dg
from dagster._core.instance import InstanceRef

@dg.asset
def one(): ...

@dg.asset(deps=[one])
def two(): ...

@dg.asset(deps=[two])
def three(): ...

job = dg.define_asset_job("empty", selection="*")
defs = dg.Definitions([one, two, three], jobs=[job], executor=dg.in_process_executor)
quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
home = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=json.loads(sys.argv[1]))
with dg.DagsterInstance.from_ref(home) as instance:
    done = defs.resolve_job_def("empty").execute_in_process(instance=instance, run_config=quiet)
    assert done.success
"""


def seconds(*command: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", *command], capture_output=True, text=True, env=os.environ, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[-2:]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return time.perf_counter() - began


def keys_of_polled() -> list[str]:
    """Names of variables."""
    polled = (row.spec for row in CATALOGUE if any(one.poll for one in row.spec.operations))
    return [name for spec in polled for name in spec.secrets]


def campaign_of_one(directory: Path, number: int) -> str:
    """Imported; the name to run it by. Nobody was asked about this person before."""
    first, last = PEOPLE[number % len(PEOPLE)].split()
    file, name = directory / "lead.csv", f"One lead {number}"
    file.write_text(ONE_LEAD.format(first=first, last=last, domain=f"acme{number}.com"), encoding="utf-8")
    seconds(PHASE3, "import", str(file), "--name", name)
    return name


def measured(times: int) -> tuple[list[float], list[float]]:
    """Seconds of each campaign and of each empty job. The first of both warms the disk and does not count."""
    ours, empty = [], []
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        directory.chmod(0o711)  # the server's own user must pass
        place = {"PHASE3_STATE_DIR": folder, "PHASE3_EXPORTS_DIR": f"{folder}/exports"}
        compiled = {"PYTHONDONTWRITEBYTECODE": ""}
        with (
            workplace.environment(**place, **compiled),
            workplace.database(aside),
            vendor_sandbox.pointed_at(vendor_sandbox.started(*VENDORS)),
            workplace.environment(**dict.fromkeys(keys_of_polled(), "")),
        ):
            del os.environ[SANDBOX_WEB]
            for number in range(times + 1):
                name = campaign_of_one(directory, number)
                ours.append(seconds(PHASE3, "run", name, "--json", "--force-continue"))
                empty.append(seconds(EMPTY, json.dumps(UNCAPTURED)))
    return ours[1:], empty[1:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    ours, empty = measured(parser.parse_args().times)
    print(f"{'':<24} {'seconds':>8} {'from':>6} {'to':>6}")
    for name, taken in (("campaign of one lead", ours), ("empty job, three assets", empty)):
        print(f"{name:<24} {statistics.median(taken):>8.2f} {min(taken):>6.2f} {max(taken):>6.2f}")
    ratio = statistics.median(ours) / statistics.median(empty)
    print(f"ratio {ratio:.2f}, at most {MOST_TIMES}")
    return 0 if ratio <= MOST_TIMES else 1


if __name__ == "__main__":
    sys.exit(main())
