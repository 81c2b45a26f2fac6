"""Puts away what tests leave behind, even those that were aborted or killed.

A caretaker is a process of its own that waits for the end of its standard input. Only we hold the other end,
and the kernel closes that whenever and however we go.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from resources.postgres.embedded.server import start

CHECKOUT = Path(__file__).resolve().parent.parent
ENOUGH_BYTES = 2_000_000_000
PATIENCE_S = 20.0
KILL_GROUP = 'read -r end; kill -s KILL -- "-$1"'


@contextlib.contextmanager
def cared_for(prefix: str) -> Iterator[Path]:
    """A new folder, reachable by the account of an embedded server; servers in it stop before it goes."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_memory()))
    folder.chmod(0o755)
    with told_of_our_end([sys.executable, "-m", "tests.caretaker", str(folder)]):
        yield folder


@contextlib.contextmanager
def not_outliving_us(process: subprocess.Popen[str]) -> Iterator[None]:
    """A process group that is killed if we die within the block; at its end that is left to the caller."""
    with told_of_our_end(["sh", "-c", KILL_GROUP, "sh", str(process.pid)]) as caretaker:
        try:
            yield
        finally:
            caretaker.kill()


@contextlib.contextmanager
def told_of_our_end(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Its standard input ends with the block, or with us; the block's end waits for its own."""
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # out of reach of a Ctrl-C
    ) as caretaker:
        yield caretaker


def _memory() -> str | None:
    """Where there is enough: a database is three hundred files, and disks are slow to make them."""
    memory = "/dev/shm"
    if not os.access(memory, os.W_OK):
        return None
    room = os.statvfs(memory)
    runs_programs = not room.f_flag & os.ST_NOEXEC
    return memory if runs_programs and room.f_bavail * room.f_frsize > ENOUGH_BYTES else None


def put_away(folder: Path) -> None:
    for running in folder.rglob("postgres/data/postmaster.pid"):
        _stop_server(running.parents[2])
    shutil.rmtree(folder, ignore_errors=True)


def _stop_server(state_dir: Path) -> None:
    """Only its supervisor may stop it; one that was killed a moment ago has let go in another."""
    deadline = time.monotonic() + PATIENCE_S
    while not (server := start(state_dir)).supervised and time.monotonic() < deadline:
        time.sleep(0.05)
    server.stop()


if __name__ == "__main__":
    sys.stdin.read()
    put_away(Path(sys.argv[1]))
