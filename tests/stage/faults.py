"""Every fault at every vendor: a campaign under it, and the next run after it is mended.

`python -m tests.stage.faults > docs/faults.md` runs all of them, some twenty minutes, and prints the table.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from sandbox.app import serve
from sandbox.faults import Kind
from sandbox.options import Options
from sandbox.registry import VENDORS
from tests.conftest import Server
from tests.stage.alone import TEMPLATE, own_server
from tests.stage.invariants import broken, sums_that_differ
from tests.stage.stage import Ended, Stage, everyone_is_needed, staged

Rows = Mapping[str, tuple[Any, ...]]
Undisturbed = dict[str, Rows]
SEARCHERS = ("brave", "claude", "serper", "tavily")
NAMES = tuple(vendor.name for vendor in VENDORS)
FEW = 2  # faults of a hiccup
SLOW_MS = 500.0  # a hundredth of the time is allowed, so this is over most timeouts
WORDS: Mapping[Kind, str] = {
    Kind.LATENCY: "answers late",
    Kind.TIMEOUT_BEFORE: "never answers, does not bill",
    Kind.TIMEOUT_AFTER: "never answers, bills",
    Kind.RESET_BEFORE: "resets the connection, does not bill",
    Kind.RESET_AFTER: "resets the connection, bills",
    Kind.RATE_LIMITED: "429 with a wait",
    Kind.RATE_LIMITED_BARE: "429 without a word",
    Kind.SERVER_ERROR: "500",
    Kind.MALFORMED_JSON: "malformed JSON, bills",
    Kind.TRUNCATED_JSON: "truncated JSON, bills",
    Kind.HTML_200: "HTML with 200",
    Kind.HUGE_BODY: "a body of 50 MB, bills",
    Kind.SLOW_DRIP: "drips slowly, bills",
    Kind.WRONG_TYPES: "other JSON types, bills",
    Kind.UNAUTHORIZED: "401",
    Kind.OUT_OF_CREDITS: "out of credits",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A fault at a vendor: a hiccup of a few requests, or for as long as the first run lasts."""

    vendor: str
    kind: Kind
    lasting: bool

    @property
    def rule(self) -> dict[str, Any]:
        count = None if self.lasting else FEW
        return {"vendor": self.vendor, "kind": self.kind.value, "count": count, "ms": SLOW_MS}

    @property
    def web_search(self) -> str:
        return self.vendor if self.vendor in SEARCHERS else SEARCHERS[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the campaign under the fault (`ended`), and after another run without it.

    `otherwise`: leads that ended in other rows than undisturbed. `doubt`: USD whose bill is not known.
    """

    ended: Ended
    left_alone: str
    otherwise: int
    doubt: Decimal
    otherwise_then: int
    promises_broken: Sequence[str]

    @property
    def words(self) -> str:
        if self.ended.why_not:
            return self.ended.why_not
        told = [f"{self.otherwise} otherwise" if self.otherwise else "as ever"]
        told += ["left alone"] if self.left_alone else []
        told += [f"${self.doubt.normalize():f} in doubt"] if self.doubt else []
        told += [f"then {self.otherwise_then}"] if self.otherwise_then != self.otherwise else []
        return ", ".join(told)


@asynccontextmanager
async def a_stage(server: Server, template: str, folder: Path, web_search: str) -> AsyncIterator[Stage]:
    name = f"phase3_stage_{uuid4().hex[:12]}"
    url = server.make(name, template)
    try:
        async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
            people = everyone_is_needed(sandbox.parts.world.people)
            yield await staged(sandbox, url, folder, people, web_search=web_search)
    finally:
        server.drop(name)


@dataclass
class Trials:
    """Runs them one by one; what an undisturbed campaign ends in is found out once for each web search."""

    server: Server
    template: str
    folder: Path
    known: Undisturbed

    async def undisturbed(self, web_search: str) -> Rows:
        if web_search not in self.known:
            async with a_stage(self.server, self.template, self.folder, web_search) as stage:
                assert (await stage.perform()).why_not == ""
                self.known[web_search] = stage.rows()
        return self.known[web_search]

    async def run(self, trial: Trial) -> Verdict:
        usual = await self.undisturbed(trial.web_search)
        async with a_stage(self.server, self.template, self.folder, trial.web_search) as stage:
            await stage.break_something(trial.rule)
            ended = await stage.perform()
            rows, (_, doubt), amiss = stage.rows(), stage.booked(), broken(stage)
            stage.sandbox.parts.faults.rules.clear()
            await stage.perform()
            return Verdict(
                ended=ended,
                left_alone=ended.skipped.get(trial.vendor, ""),
                otherwise=_differing(rows, usual),
                doubt=doubt,
                otherwise_then=_differing(stage.rows(), usual),
                promises_broken=[*amiss, *broken(stage), *await sums_that_differ(stage)],
            )


def _differing(rows: Mapping[str, Any], usual: Mapping[str, Any]) -> int:
    return sum(rows[who] != usual[who] for who in usual)


def all_trials() -> Iterator[Trial]:
    for kind in WORDS:
        for vendor in NAMES:
            for lasting in (False, True):
                yield Trial(vendor, kind, lasting)


# --- the table -------------------------------------------------------------------------------------------

HEAD = """# What becomes of a campaign when a vendor misbehaves

Generated by `python -m tests.stage.faults`: each cell is a whole campaign of {leads} leads over all vendors
against the sandbox, with one fault at one vendor, and then the next run after it was mended. In every one of
them the ledger covered the vendors' bill, no question was billed more often than the vendor's replay class
allows (twice where only a hit costs, else once), and every other promise held (see `reliability.md`).

"as ever": every lead ended in the same row as undisturbed. "n otherwise": so many ended in another row,
because a question to that vendor was left out. "left alone": the run did without the vendor and said so.
"in doubt": booked at its worst price because the answer never came. "then n": what is left of the difference
after the next run.
"""


def table(verdicts: Mapping[Trial, Verdict], leads: int) -> str:
    lines = [HEAD.format(leads=leads)]
    for vendor in NAMES:
        lines += [f"## {vendor}", "", "| the vendor | twice | for the whole run |", "|---|---|---|"]
        for kind, words in WORDS.items():
            cells = (verdicts[Trial(vendor, kind, lasting)].words for lasting in (False, True))
            lines.append(f"| {words} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def faults_of(trial: Trial, verdict: Verdict) -> list[str]:
    """The promises that did not hold."""
    why_not = verdict.ended.why_not if trial.vendor != "reoon" else ""
    return [*verdict.promises_broken, *([f"the run ended with: {why_not}"] if why_not else [])]


async def _every_trial(server: Server, template: str, folder: Path) -> int:
    trials, verdicts = Trials(server, template, folder, {}), {}
    failures = Counter[str]()
    for trial in all_trials():
        verdicts[trial] = verdict = await trials.run(trial)
        for promise in faults_of(trial, verdict):
            failures[f"{trial}: {promise}"] += 1
        sys.stderr.write(f"{trial.vendor} {trial.kind} {trial.lasting}: {verdict.words}\n")
    sys.stdout.write(table(verdicts, len(await trials.undisturbed(SEARCHERS[0]))))
    sys.stderr.write("\n".join(failures))
    return 1 if failures else 0


def main() -> int:
    with own_server("phase3-faults-") as (server, folder):
        return asyncio.run(_every_trial(server, TEMPLATE, folder))


if __name__ == "__main__":
    sys.exit(main())
