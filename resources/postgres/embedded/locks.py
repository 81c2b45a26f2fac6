"""Locks: held by open files, so that the kernel frees them whatever happens to the holder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from resources.postgres.embedded.errors import ADVICE, EmbeddedPostgresError


@contextlib.contextmanager
def starting(state_dir: Path) -> Iterator[None]:
    """One process at a time looks, makes, starts or stops."""
    with locked(_open_lock(state_dir)):
        yield


@contextlib.contextmanager
def locked(file: int) -> Iterator[int]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _open_lock(state_dir: Path) -> int:
    """A file in the state directory or, on a read-only file system, the nearest directory above."""
    with contextlib.suppress(OSError):
        state_dir.mkdir(parents=True, exist_ok=True)
        return opened(state_dir / "postgres.lock")
    for path in (state_dir, *state_dir.parents):
        with contextlib.suppress(OSError):
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    raise EmbeddedPostgresError(f"No directory above {state_dir} can be read. {ADVICE}")


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def try_lock(path: Path) -> int | None:
    """The open, locked file, or None when someone else holds it."""
    lock = opened(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
