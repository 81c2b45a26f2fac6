"""`phase3` as a user starts it: a real process, its own words, its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.request import Request, urlopen

from phase3_assets.workplace import project_root
from tests.canary import leaks, secrets_in
from tests.caretaker import not_outliving_us

Fact = TypeVar("Fact")

PROGRAMS = Path(sys.executable).parent
OF_VENDORS = ("_API_KEY", "_API_SECRET", "_BASE_URL")
FINDERS = ["tomba", "anymailfinder", "findymail"]
WAIT_S = 300.0  # long past any doubt, on a machine with other things to do


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The only line of words."""
        (line,) = self.err.strip().splitlines()
        return line


@dataclass(frozen=True)
class Shell:
    """An environment and a directory to start commands in."""

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def set(self, **variables: str) -> "Shell":
        return replace(self, variables={**self.variables, **variables})

    @property
    def environment(self) -> dict[str, str]:
        """Of what the tests run in, nothing that phase 3 reads."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PHASE3_", "DAGSTER_", "DATABASE_")) and not name.endswith(OF_VENDORS)
        }
        return {**inherited, **self.variables}

    def __call__(self, *arguments: str) -> Said:
        with self.started(*arguments) as process:
            out, err = process.communicate(timeout=WAIT_S)
        assert leaks(secrets_in(self.variables), [("stdout", out), ("stderr", err)]) == []
        return said(process, out, err)

    @contextmanager
    def started(
        self, *arguments: str, stdout: int | IO[str] = subprocess.PIPE
    ) -> Iterator[subprocess.Popen[str]]:
        with in_a_group(
            [PROGRAMS / "phase3", *arguments],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        ) as process:
            yield process


def said(process: subprocess.Popen[str], out: str, err: str) -> Said:
    """Whatever went wrong, it is told in words."""
    assert "Traceback" not in err, err
    return Said(process.returncode, out, err)


@contextmanager
def in_a_group(command: Sequence[str | Path], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, which does not outlive the block."""
    process = subprocess.Popen(command, text=True, start_new_session=True, **how)
    with process, not_outliving_us(process):
        try:
            yield process
        finally:
            kill_group(process)


def kill_group(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)


def until(fact: Callable[[], Fact], deadline_s: float = WAIT_S, every_s: float = 0.02) -> Fact:
    """Polls until the fact is true; what it was then."""
    deadline = time.monotonic() + deadline_s
    while not (found := fact()):
        assert time.monotonic() < deadline, f"not within {deadline_s:.0f} s: {found!r}"
        time.sleep(every_s)
    return found


@dataclass(frozen=True, slots=True)
class Vendors:
    """A sandbox as tests see it: what was asked and what was billed."""

    url: str

    def text(self, page: str) -> str:
        with urlopen(f"{self.url}/_sandbox/{page}", timeout=WAIT_S) as answer:
            return str(answer.read().decode())

    def read(self, page: str) -> Any:
        return json.loads(self.text(page))

    def times_billed(self) -> Counter[tuple[str, str, str]]:
        """How often each question was billed, by the vendors' own books."""
        rows = self.read("billing")["rows"]
        return Counter((row["vendor"], row["operation"], row["question"]) for row in rows)

    def slow_down(self, vendor: str, ms: int) -> None:
        body = json.dumps({"vendor": vendor, "ms": ms}).encode()
        with urlopen(Request(f"{self.url}/_sandbox/latency", body), timeout=WAIT_S):
            pass

    def variables(self, directory: Path) -> dict[str, str]:
        """For the environment of a command.

        Rates are those of this sandbox, calls in flight those of the real plans; no finder that works
        by jobs, because their clients look every few seconds.
        """
        settings = directory / "phase3-sandbox.toml"
        terms = [line for line in self.text("settings.toml").splitlines() if "in_flight" not in line]
        order = f"order = {json.dumps(FINDERS)}"
        settings.write_text("\n".join([*terms, "[waterfall]", order]), encoding="utf-8")
        return {**self.read("env"), "PHASE3_SETTINGS": str(settings)}

    @property
    def requests(self) -> int:
        """That reached any vendor's desk; the companies' web sites are not among them."""
        return self._of_all("requests")

    @property
    def turned_away(self) -> int:
        """Requests that were one too many under a vendor's limits."""
        return self._of_all("turned_away")

    def _of_all(self, number: str) -> int:
        return sum(account[number] for account in self.read("bill")["by_vendor"].values())


@contextmanager
def vendors(
    scale: float, *, latency_ms: int = 20, rate_factor: float = 200, host: str = "127.0.0.1"
) -> Iterator[Vendors]:
    options = ("--scale", str(scale), "--latency-ms", str(latency_ms), "--rate-factor", str(rate_factor))
    command = [sys.executable, "-m", "sandbox", "--stop-with-parent", "--host", host, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=project_root()) as process:
        assert process.stdout is not None
        try:
            yield Vendors(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()
