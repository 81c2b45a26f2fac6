"""How much of the vendors' quotas a campaign uses: its time against the time that the quotas alone need.

One campaign, then the same leads as four campaigns at once, each a `phase3 run` of its own: four processes
that share every quota; then a longer campaign, held against the quotas alone. Every finder is asked in order
and nothing is guessed, as in the campaign that was reported. The sandbox holds everybody to the limits that
stand in the settings, in any window of time, and counts what it let in and turned away. Prints tables, as
Markdown.

Time runs from the beginning of agent 3.1 to the end of agent 3.3, of the earliest and the latest campaign.
The bound is computed from what the vendors counted and from nothing of ours; agents follow one another, so
theirs add up:

- Quota: the largest of its vendors' times. `n` calls at `rate` a second take `(n - 1) / rate`: one goes at
  once, the others evenly after it, for nothing here bursts. Calls that take `busy_s` seconds together, at
  most `in_flight` at a time, take `busy_s / in_flight`.
- Chain: what one lead takes whom nobody knows, whatever the quotas. The vendor with the largest time idles
  until the first lead has come to it, and whoever leaves it last has the rest of the way ahead. It is the
  same for a campaign of any size: much of a minute, little of the longer campaign.

Where campaigns run at once, one may enrich while another still verifies: then the sum is what they need that
share all evenly, and may be beaten.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psycopg

from benchmarks import aside
from phase3_assets import vendor_sandbox, workplace

LATENCY_MS = 50
MOST_REFUSED = 0.001  # of the calls: a busy machine delivers some later than they left; they cost nothing
COUNTED = ("let_in", "turned_away")
AGENTS = ("3.1 verified_emails", "3.2 enriched_leads")


@dataclass(frozen=True, slots=True)
class Link:
    """A vendor on a lead's way: so many answers one after another, and our own waits before we read or ask
    again, because the vendor or a site's owner wants that.
    """

    vendor: str
    answers: int = 1
    waits_s: float = 0.0


CHAINS = (
    (
        Link("tomba"),
        Link("voila_norbert", 2, 3.0),  # a search is read after three seconds
        Link("icypeas", 2, 6.0),
        Link("anymailfinder"),
        Link("findymail"),
        Link("reoon"),
    ),
    (
        Link("brave", 3, 1.0),  # after the company's site: robots.txt, and a page a second later
        Link("clearbit", 2, 5.0),
        Link("apollo", 2),
        Link("zoominfo"),
    ),
)


@dataclass(frozen=True, slots=True)
class Quota:
    """What one account allows, as it stands in the settings; `groups`: the sandbox's operations it covers."""

    agent: int
    vendor: str
    limits: Mapping[str, float]
    groups: tuple[str, ...] = ("default",)

    @property
    def rate(self) -> float | None:
        """Calls a second."""
        spans = {"per_second": 1, "per_minute": 60, "reads_per_minute": 60}
        rates = [most / spans[name] for name, most in self.limits.items() if name in spans]
        return min(rates, default=None)


# The kinds of limits of the catalogue, at rates at which there is work for most of a minute.
QUOTAS = (
    Quota(0, "tomba", {"per_minute": 900}),
    Quota(0, "voila_norbert", {"per_minute": 1_200}, ("default", "others")),
    Quota(0, "icypeas", {"per_second": 20}),
    Quota(0, "icypeas", {"reads_per_minute": 480}, ("read",)),
    Quota(0, "anymailfinder", {"in_flight": 15}),
    Quota(0, "findymail", {"in_flight": 100}),
    Quota(0, "reoon", {"in_flight": 5}),
    Quota(0, "mailverify", {"in_flight": 5}),
    Quota(1, "brave", {"per_second": 25}),
    Quota(1, "clearbit", {"per_minute": 600}),
    Quota(1, "apollo", {"per_minute": 1_000}),
    Quota(1, "apollo", {"per_minute": 1_000}, ("people", "bulk")),
    Quota(1, "people_data_labs", {"per_minute": 600}, ("default", "bulk")),
    Quota(1, "builtwith", {"per_second": 10, "in_flight": 8}),
    Quota(1, "zoominfo", {"per_second": 25}),
)


@dataclass(frozen=True, slots=True)
class Used:
    """What the vendor counted of one quota."""

    quota: Quota
    let_in: int
    turned_away: int
    busy_s: float

    @property
    def bound_s(self) -> float:
        rate, places = self.quota.rate, self.quota.limits.get("in_flight")
        by_rate = max(0, self.let_in - 1) / rate if rate else 0.0
        return max(by_rate, self.busy_s / places if places else 0.0)

    @property
    def answer_s(self) -> float:
        return self.busy_s / self.let_in if self.let_in else 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of the campaigns' agents together, CPU seconds of their processes, what vendors counted."""

    leads: int
    spans: Sequence[tuple[float, float]]
    whole_s: float
    cpu_s: float
    used: Sequence[Used]

    @property
    def took_s(self) -> float:
        return max(end for _, end in self.spans) - min(begin for begin, _ in self.spans)


# --- the sandbox, held to the quotas


def told(url: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    asked = Request(f"{url}/_sandbox/{path}", data=json.dumps(body).encode() if body else None)
    with urlopen(asked, timeout=60) as page:
        return json.loads(page.read())


def hold_to_quotas(url: str) -> None:
    """In any window, not only in those that begin on the vendor's own tick."""
    for quota in QUOTAS:
        limits = {name.removeprefix("reads_"): most for name, most in quota.limits.items()}
        for group in quota.groups:
            told(url, "limits", {"vendor": quota.vendor, "group": group, "sliding": True, **limits})


def settings(price_list: str) -> str:
    """The sandbox's prices, and the limits of this file."""
    limits: dict[str, dict[str, float]] = {}
    for quota in QUOTAS:
        limits.setdefault(quota.vendor, {}).update(quota.limits)
    prices = [table for table in price_list.split("\n\n") if table]
    lines = []
    for table in prices:
        head, price = table.strip().splitlines()[:2]
        own = limits.get(head.removeprefix("[providers.").rstrip("]"), {})
        lines += [head, price, *(f"{name} = {most}" for name, most in own.items())]
    return "\n".join([*lines, "[waterfall]", "guessing = false"]) + "\n"


def counted(url: str) -> list[Used]:
    traffic = told(url, "traffic")
    return [used_of(quota, [traffic[quota.vendor][group] for group in quota.groups]) for quota in QUOTAS]


def used_of(quota: Quota, groups: Sequence[Mapping[str, Any]]) -> Used:
    let_in, turned_away = (sum(group[name] for group in groups) for name in COUNTED)
    return Used(quota, let_in, turned_away, sum(group["busy_s"] for group in groups))


# --- the campaigns


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from phase3_assets.cli import main; main()", *words]


def imported(leads: Sequence[str], directory: Path, number: int) -> str:
    place = directory / f"leads-{number}.csv"
    place.write_text("".join(leads), encoding="utf-8")
    words = command("import", str(place), "--name", f"Quota {number}")
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def dealt(text: str, campaigns: int) -> list[list[str]]:
    """The leads in turn to so many campaigns, each with the line of names on top."""
    head, *leads = text.splitlines(keepends=True)
    return [[head, *leads[first::campaigns]] for first in range(campaigns)]


def run_all(campaigns: Sequence[str]) -> tuple[list[Mapping[str, Any]], float, float]:
    """Their output JSON; seconds from start to end, and of CPU."""
    began, before = time.perf_counter(), os.times()
    words = [command("run", campaign, "--json", "--force-continue") for campaign in campaigns]
    runs = [subprocess.Popen(one, stdout=subprocess.PIPE, text=True) for one in words]
    said = [run.communicate()[0] for run in runs]
    if any(run.returncode for run in runs):
        raise SystemExit(f"runs ended with {[run.returncode for run in runs]}")
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return [json.loads(one) for one in said], time.perf_counter() - began, cpu_s


def spans_of(url: str, results: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Begin and end of each agent, of the earliest and the latest campaign."""
    with psycopg.connect(url) as connection:
        ends: dict[str, list[float]] = dict(connection.execute(ENDS).fetchall())
    agents = [
        [
            (end - took["duration_seconds"], end)
            for took, end in zip(one["agents_run"], ends[one["campaign_id"]], strict=True)
        ]
        for one in results
    ]
    return [
        (min(begin for begin, _ in spans), max(end for _, end in spans))
        for spans in zip(*agents, strict=True)
    ]


ENDS = """
SELECT id::text, ARRAY[extract(epoch FROM email_verification_completed_at)::float8,
    extract(epoch FROM enrichment_completed_at)::float8,
    extract(epoch FROM verification_completed_at)::float8]
FROM campaigns
"""


@contextmanager
def market(scale: float) -> Iterator[tuple[str, vendor_sandbox.Sandbox, Path]]:
    """A fresh database, and a fresh sandbox that is held to the quotas."""
    options = ("--scale", str(scale), "--latency-ms", str(LATENCY_MS), "--rate-factor", "0")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o711)  # the server's own user must pass
        place = {"PHASE3_STATE_DIR": str(directory), "PHASE3_EXPORTS_DIR": f"{directory}/exports"}
        stack.enter_context(workplace.environment(**place))
        url = stack.enter_context(workplace.database(aside))
        box = stack.enter_context(vendor_sandbox.pointed_at(vendor_sandbox.started(*options)))
        hold_to_quotas(box.url)
        own = directory / "phase3.toml"
        own.write_text(settings(box.text("settings.toml")), encoding="utf-8")
        stack.enter_context(workplace.environment(PHASE3_SETTINGS=str(own)))
        yield url, box, directory


def measured(scale: float, campaigns: int) -> Measured:
    with market(scale) as (url, box, directory):
        parts = dealt(box.text("leads.csv"), campaigns)
        ids = [imported(leads, directory, number) for number, leads in enumerate(parts)]
        results, whole_s, cpu_s = run_all(ids)
        leads = sum(len(part) - 1 for part in parts)
        return Measured(leads, spans_of(url, results), whole_s, cpu_s, counted(box.url))


# --- what it comes to


def binding(run: Measured, agent: int) -> Used:
    return max((used for used in run.used if used.quota.agent == agent), key=lambda used: used.bound_s)


def chain_s(run: Measured, agent: int) -> float:
    answers = {used.quota.vendor: used.answer_s for used in reversed(run.used) if used.let_in}
    return sum(link.answers * answers.get(link.vendor, 0.0) + link.waits_s for link in CHAINS[agent])


@dataclass(frozen=True, slots=True)
class Ratios:
    """Of a run's time to what the quotas need, alone and with the chain."""

    to_quota: float
    to_bound: float


def tell(run: Measured, campaigns: int) -> Ratios:
    print(f"\n### {run.leads} leads, campaigns at once: {campaigns}\n")
    print("| quota | calls | turned away | quota needs, s |\n|---|--:|--:|--:|")
    for used in run.used:
        limits = ", ".join(f"{name} {most:g}" for name, most in used.quota.limits.items())
        told = f"{used.quota.vendor}: {limits}"
        print(f"| {told} | {used.let_in:,} | {used.turned_away} | {used.bound_s:.1f} |")
    print("\n| | binding | quota, s | chain, s | took, s | took / quota | took / (quota + chain) |")
    print("|---|---|--:|--:|--:|--:|--:|")
    bounds = [(binding(run, agent), chain_s(run, agent)) for agent in range(len(AGENTS))]
    for name, (most, chain), (begin, end) in zip(AGENTS, bounds, run.spans, strict=False):
        print(f"| {name} | {most.quota.vendor} {row(most.bound_s, chain, end - begin)}")
    quota, chain = sum(most.bound_s for most, _ in bounds), sum(chain for _, chain in bounds)
    print(f"| all, to the end of 3.3 | {row(quota, chain, run.took_s)}")
    share, load = run.cpu_s / run.whole_s, os.getloadavg()[0]
    print(f"\nProcessor: {share:.2f} of a core for the runs, start and imports included; load {load:.1f}.")
    return Ratios(run.took_s / quota, run.took_s / (quota + chain))


def row(quota: float, chain: float, took: float) -> str:
    ratios = f"{took / quota:.3f} | {took / (quota + chain):.3f}"
    return f"| {quota:.1f} | {chain:.1f} | {took:.1f} | {ratios} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.014, help="1.0 is the campaign at full size")
    parser.add_argument("--campaigns", type=int, nargs="+", default=[1, 4], help="at once, one run each")
    parser.add_argument("--long", type=float, default=0.2, help="scale of the longer campaign; 0: none")
    parser.add_argument("--at-most", type=float, default=1.05, help="fail above this ratio")
    given = parser.parse_args()
    runs = [(measured(given.scale, campaigns), campaigns) for campaigns in given.campaigns]
    ratios = [tell(run, campaigns).to_bound for run, campaigns in runs]
    if given.long:
        longer = measured(given.long, 1)
        ratios.append(tell(longer, 1).to_quota)
        runs.append((longer, 1))
    let_in, refused = (sum(getattr(used, name) for run, _ in runs for used in run.used) for name in COUNTED)
    shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    wanted = f"at most {given.at_most} wanted, of a longer campaign without the chain"
    print(f"\nRatios {shown} ({wanted}); {refused} of {let_in + refused:,} calls were turned away.")
    return 0 if max(ratios) <= given.at_most and refused <= let_in * MOST_REFUSED else 1


if __name__ == "__main__":
    sys.exit(main())
