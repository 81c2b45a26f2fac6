"""Proof, on one machine, that the process of a run is gone.

A run's process holds a locked file in the state directory. The kernel frees the lock when the process ends,
however it ends, and a run that comes to its end takes the file away: a file that is there and not locked was
left by a process that was killed.
"""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from phase3_assets.workplace import state_dir
from phase3_core.errors import OutsideFailure

LONGEST_NAME = 256  # of a machine


@contextmanager
def living(run_id: str) -> Iterator[None]:
    """Where no file can be written nothing is lost but the proof."""
    with ExitStack() as held:
        with suppress(OSError, OutsideFailure):
            held.enter_context(_mark(_file(run_id)))
        yield


def is_gone_here(run_id: str) -> bool:
    """False as well where nothing is known, as of a run on another machine."""
    with suppress(OSError, OutsideFailure), _file(run_id).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        still_there = os.fstat(file.fileno()).st_nlink > 0
        return still_there and file.read(LONGEST_NAME) == _this_machine()
    return False


@contextmanager
def _mark(path: Path) -> Iterator[None]:
    """Locked before it says anything, and away before it is free."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(_this_machine())
            yield
        finally:
            with suppress(OSError):
                path.unlink()


def unmark(run_id: str) -> None:
    """For who has said that the run is dead."""
    with suppress(OSError, OutsideFailure):
        _file(run_id).unlink(missing_ok=True)


def _file(run_id: str) -> Path:
    return state_dir() / "runs" / Path(run_id).name  # Dagster takes any word for a run's id


def _this_machine() -> bytes:
    """Locks may not reach from one to another, though the directory does."""
    return platform.node().encode()
