"""Every fault at every vendor: a campaign under it, and the next run after it is mended.

`python -m tests.stage.faults > docs/faults.md` runs all of them and prints the table; `--workers 2` at two
vendors at once, `--only redirect error_200` these faults, `--sample 20` so many. It exits with 1, and says
which, where a campaign did not end as it should: a promise was broken, or `surprises` found what the fault
does not explain.
"""

import argparse
import asyncio
import multiprocessing
import random
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from resources.providers.catalogue import CATALOGUE
from resources.settings_tables import WaterfallSettings
from sandbox.app import serve
from sandbox.faults import Kind
from sandbox.options import Options
from sandbox.registry import VENDORS
from tests.conftest import Server
from tests.stage.alone import TEMPLATE, own_server
from tests.stage.invariants import broken, sums_that_differ
from tests.stage.stage import HURRY, PATIENT, Ended, Play, Stage, everyone_is_needed, staged

Rows = Mapping[str, tuple[Any, ...]]
Undisturbed = dict[str, Rows]
SEARCHERS = ("brave", "claude", "serper", "tavily")
NAMES = tuple(vendor.name for vendor in VENDORS)
FEW = 2  # faults of a hiccup
# A vendor that says no bills nothing, and we know it.
TOO_FAST = frozenset({Kind.RATE_LIMITED, Kind.RATE_LIMITED_BARE, Kind.RATE_LIMITED_LATE, Kind.DAY_SPENT})
REFUSALS = TOO_FAST | {Kind.UNAUTHORIZED, Kind.OUT_OF_CREDITS}
# After which it is left alone until a person has acted, or its balance has changed.
PARKING = frozenset({Kind.UNAUTHORIZED, Kind.OUT_OF_CREDITS})
# Once is enough to go without it for a while.
NO_HICCUP = PARKING | {Kind.DAY_SPENT}
# What they have taken may be read tomorrow only, and is in doubt until then.
READ_LATER = frozenset(
    row.name for row in CATALOGUE for one in row.spec.operations if one.poll and not one.poll.billed
)
# What shows only to those who wait for an answer. Nobody else hurries: a busy machine would be a fault too.
SILENCE = frozenset({Kind.LATENCY, Kind.TIMEOUT_BEFORE, Kind.TIMEOUT_AFTER, Kind.SLOW_DRIP})
FIRST_VERIFIER = "reoon"
SLOW_MS = 500.0  # a hundredth of the time is allowed, so this is over most timeouts
WORDS: Mapping[Kind, str] = {
    Kind.LATENCY: "answers late",
    Kind.TIMEOUT_BEFORE: "never answers, does not bill",
    Kind.TIMEOUT_AFTER: "never answers, bills",
    Kind.RESET_BEFORE: "resets the connection, does not bill",
    Kind.RESET_AFTER: "resets the connection, bills",
    Kind.HTTP_408_BEFORE: "408, does not bill",
    Kind.HTTP_408_AFTER: "408, bills",
    Kind.RATE_LIMITED: "429 with a wait",
    Kind.RATE_LIMITED_BARE: "429 without a word",
    Kind.RATE_LIMITED_LATE: "429 with a wait that is over",
    Kind.DAY_SPENT: "429 until tomorrow",
    Kind.SERVER_ERROR: "500",
    Kind.MALFORMED_JSON: "malformed JSON, bills",
    Kind.TRUNCATED_JSON: "truncated JSON, bills",
    Kind.BROKEN_OFF: "breaks off half-way, bills",
    Kind.ERROR_200: "an error in JSON with 200",
    Kind.REDIRECT: "302 to a login page",
    Kind.HTML_200: "HTML with 200",
    Kind.HUGE_BODY: "a body of 50 MB, bills",
    Kind.GZIP_BOMB: "a small body that unpacks to 50 MB, bills",
    Kind.SLOW_DRIP: "drips slowly, bills",
    Kind.WRONG_TYPES: "other JSON types, bills",
    Kind.WRONG_LABEL: "JSON that is called HTML, bills",
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

    def hurries(self, play: Play) -> Play:
        hurry = HURRY if self.kind in SILENCE else PATIENT
        return replace(play, hurry=hurry, hurried=f"/{self.vendor}/")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the campaign under the fault (`ended`), and after another run without it (`then`).

    `struck`: requests that met the fault. `otherwise`: leads that ended in other rows than undisturbed.
    `doubt`: USD whose bill is not known.
    """

    struck: int
    ended: Ended
    left_alone: str
    otherwise: int
    doubt: Decimal
    then: Ended
    otherwise_then: int
    promises_broken: Sequence[str]

    @property
    def words(self) -> str:
        if self.ended.why_not:
            return self.ended.why_not
        told = [f"{self.otherwise} otherwise" if self.otherwise else "as ever"]
        told += ["left alone"] if self.left_alone else []
        told += [f"${self.doubt.normalize():f} in doubt"] if self.doubt else []
        then = str(self.otherwise_then or "as ever")
        told += [f"then {then}"] if self.otherwise_then != self.otherwise else []
        return ", ".join(told)


@asynccontextmanager
async def a_stage(server: Server, template: str, folder: Path, web_search: str) -> AsyncIterator[Stage]:
    name = f"phase3_stage_{uuid4().hex[:12]}"
    url = server.make(name, template)
    try:
        async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
            people = everyone_is_needed(sandbox.parts.world.people)
            guessing = WaterfallSettings()
            yield await staged(sandbox, url, folder, people, web_search=web_search, waterfall=guessing)
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
        async with a_stage(self.server, self.template, self.folder, trial.web_search) as patient:
            stage = replace(patient, play=trial.hurries(patient.play))
            await stage.break_something(trial.rule)
            ended = await stage.perform()
            rows, (_, doubt), amiss = stage.rows(), stage.booked(), broken(stage)
            struck = _struck(stage, trial)
            stage.sandbox.parts.faults.rules.clear()
            then = await stage.perform()
            return Verdict(
                struck=struck,
                ended=ended,
                left_alone=ended.skipped.get(trial.vendor, ""),
                otherwise=_differing(rows, usual),
                doubt=doubt,
                then=then,
                otherwise_then=_differing(stage.rows(), usual),
                promises_broken=[*amiss, *broken(stage), *await sums_that_differ(stage)],
            )


def _struck(stage: Stage, trial: Trial) -> int:
    """A lasting fault strikes every request."""
    [rule] = stage.sandbox.parts.faults.rules
    if rule.count is not None:
        return FEW - rule.count
    return stage.sandbox.parts.vendors[trial.vendor].account.requests


def _differing(rows: Mapping[str, Any], usual: Mapping[str, Any]) -> int:
    return sum(rows[who] != usual[who] for who in usual)


def all_trials(kinds: Iterable[Kind] = WORDS) -> Iterator[Trial]:
    for kind in kinds:
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


# --- what each must come to


def faults_of(trial: Trial, verdict: Verdict) -> list[str]:
    """What is not as it should be."""
    return [*verdict.promises_broken, *surprises(trial, verdict)]


def surprises(trial: Trial, verdict: Verdict) -> Iterator[str]:
    """Where a campaign ended otherwise than the fault lets expect."""
    if not verdict.struck:
        yield "the fault never struck"
    if (why_not := verdict.ended.why_not) and not (trial.vendor == FIRST_VERIFIER and "verifier" in why_not):
        yield f"the run came to no report: {why_not}"
    if verdict.then.why_not:
        yield f"the next run came to no report: {verdict.then.why_not}"
    if verdict.otherwise_then > verdict.otherwise:
        yield f"the next run left {verdict.otherwise_then} otherwise instead of {verdict.otherwise}"
    not_read = trial.kind is Kind.DAY_SPENT and trial.vendor in READ_LATER
    if trial.kind in REFUSALS and verdict.doubt and not not_read:
        yield f"a refusal left {verdict.doubt} USD in doubt"
    if trial.kind in PARKING and trial.lasting and not verdict.left_alone:
        yield "it was not left alone"
    if trial.kind not in NO_HICCUP and not trial.lasting:
        yield from _more_than_a_hiccup(trial, verdict)


def _more_than_a_hiccup(trial: Trial, verdict: Verdict) -> Iterator[str]:
    """A fault of a few requests that the vendor has got over."""
    if verdict.left_alone:
        yield f"it was left alone: {verdict.left_alone}"
    most = 0 if trial.kind in REFUSALS else FEW
    if verdict.otherwise > most:
        yield f"{verdict.otherwise} leads ended otherwise, by {verdict.struck} faults"


# --- all of them


@dataclass(frozen=True, slots=True)
class Told:
    """A trial, what became of it, and what is wrong with that; None: it broke off."""

    trial: Trial
    verdict: Verdict | None
    amiss: Sequence[str]

    def __str__(self) -> str:
        one, words = self.trial, self.verdict.words if self.verdict else "broken off"
        return f"{one.vendor} {one.kind} {'for the whole run' if one.lasting else 'twice'}: {words}"


@dataclass(frozen=True, slots=True)
class Worker:
    """Runs trials one after another in a process of its own, on a server that all share."""

    server: Server
    template: str
    folder: Path

    def __call__(self, trials: Sequence[Trial]) -> list[Told]:
        return asyncio.run(self._each(trials))

    async def _each(self, trials: Sequence[Trial]) -> list[Told]:
        stage = Trials(self.server, self.template, self.folder, {})
        return [await self._one(stage, trial) for trial in trials]

    async def _one(self, stage: Trials, trial: Trial) -> Told:
        try:
            verdict = await stage.run(trial)
        except Exception as failure:  # noqa: BLE001 - the others are still to be seen
            told = Told(trial, None, [f"{type(failure).__name__}: {failure}"])
        else:
            told = Told(trial, verdict, faults_of(trial, verdict))
        sys.stderr.write("".join(f"{line}\n" for line in (str(told), *(f"  WRONG: {w}" for w in told.amiss))))
        return told


def in_parts(trials: Sequence[Trial]) -> list[list[Trial]]:
    """By vendor, so that what it is undisturbed is found out once."""
    return [part for name in NAMES if (part := [one for one in trials if one.vendor == name])]


def judged(server: Server, template: str, folder: Path, trials: Sequence[Trial], workers: int) -> list[Told]:
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=fresh) as pool:
        parts = pool.map(Worker(server, template, folder), in_parts(trials))
        return [told for part in parts for told in part]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stage.faults")
    parser.add_argument("--workers", type=int, default=1, help="vendors at once")
    parser.add_argument(
        "--only", nargs="+", type=Kind, default=list(WORDS), help="these faults, and no table"
    )
    parser.add_argument("--sample", type=int, help="only so many campaigns, and no table")
    return parser.parse_args()


def sample(trials: Sequence[Trial], size: int | None) -> Sequence[Trial]:
    """The same ones each time."""
    return trials if size is None else random.Random(size).sample(trials, size)


def told_of(everything: Sequence[Told], leads: int) -> int:
    """The table, if it is whole; the exit code."""
    verdicts = {one.trial: one.verdict for one in everything if one.verdict}
    wrong = [f"{one}: {why}" for one in everything for why in one.amiss]
    if set(verdicts) == set(all_trials()):
        sys.stdout.write(table(verdicts, leads))
    sys.stderr.write("".join(f"NOT AS IT SHOULD BE: {line}\n" for line in wrong))
    sys.stderr.write(f"{len(everything)} campaigns under a fault, {len(wrong)} not as they should be\n")
    return 1 if wrong else 0


async def how_many_leads() -> int:
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        return len(everyone_is_needed(sandbox.parts.world.people))


def main() -> int:
    chosen = options()
    trials = sample(list(all_trials(chosen.only)), chosen.sample)
    with own_server("phase3-faults-") as (server, folder):
        told = judged(server, TEMPLATE, folder, trials, chosen.workers)
    return told_of(told, asyncio.run(how_many_leads()))


if __name__ == "__main__":
    sys.exit(main())
