"""Runs benchmarks and writes what they printed into docs/performance.md, each into its own section.

`python -m benchmarks.performance ledger startup` measures these two and leaves the other sections as they
are; without a name all are measured, which takes hours. Exit code 1 where one of them missed its figure.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module

from phase3_assets.workplace import project_root

PAGE = project_root() / "docs" / "performance.md"
HEAD = """# Performance

What `benchmarks/` printed, written by `python -m benchmarks.performance [NAME …]`. Each compares two things
in one run; the ratio is the figure, for the seconds are those of the machine named in the section. Vendors
are the sandbox on a loopback socket, PostgreSQL the embedded one."""
TITLES = {
    "ledger": "What durability costs a call",
    "quota": "How well a run uses its vendors' quotas",
    "campaign": "Whole campaigns: speed, memory, and a second run",
    "cost": "What sharing, guessing and order save; how true the estimate is",
    "reference": "The reference campaign, as reported and with our defaults",
    "machines": "Six campaigns on two machines, one of which is lost",
    "report": "The report of a full campaign",
    "suppression": "Nobody suppressed is asked about",
    "startup": "A campaign of one lead against an empty Dagster job",
}
OPTIONS = {"campaign": ("--scales", "1", "10")}
SECTION = re.compile(r"^## `(\w+)`: .*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)


def measured(name: str) -> tuple[str, bool]:
    """The benchmark's section, and whether its figures are as wanted."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *OPTIONS.get(name, ())]
    load, began = os.getloadavg()[0], datetime.now(UTC)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    minutes = (datetime.now(UTC) - began).total_seconds() / 60
    about = (import_module(f"benchmarks.{name}").__doc__ or "").strip()
    verdict = "as wanted" if done.returncode == 0 else "**not as wanted**"
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, a load of {load:.1f} before"
    told = done.stdout.strip("\n")
    shown = told if told.startswith(("|", "#")) else f"```text\n{told}\n```"
    section = (
        f"## `{name}`: {TITLES[name]}\n\n{about}\n\n{shown}\n\n"
        f"Measured on {began:%Y-%m-%d} in {minutes:.0f} min on {machine}: {verdict}."
    )
    return section, done.returncode == 0


def sections(page: str) -> dict[str, str]:
    """By the benchmark's name."""
    return {found[1]: found[0].rstrip() for found in SECTION.finditer(page)}


def written(known: dict[str, str]) -> str:
    """The page, in the order of the titles."""
    return "\n\n".join([HEAD, *(known[name] for name in TITLES if name in known)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TITLES, []], metavar="NAME", help=", ".join(TITLES))
    good = True
    for name in parser.parse_args().names or TITLES:
        section, as_wanted = measured(name)
        known = sections(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
        PAGE.write_text(written({**known, name: section}), encoding="utf-8")
        good &= as_wanted
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
