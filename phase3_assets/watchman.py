"""Stops the embedded server when the command that started it was killed and nobody uses it any more.

`python -m phase3_assets.watchman DIRECTORY URI LOCK`: a process of its own, out of reach of what kills the
command. It sleeps on the supervisor's lock, which the kernel frees however the supervisor ends.
"""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

QUIET_S = 5.0  # a run that outlived its command may be between two connections
LOOK_EVERY_S = 0.5


def posted(directory: Path, uri: str, lock: Path) -> None:
    """The shell leaves it a child of nobody."""
    module = [sys.executable, "-m", "phase3_assets.watchman", str(directory), uri, str(lock)]
    subprocess.run(
        ["/bin/sh", "-c", '"$@" &', "sh", *module],
        cwd=Path(__file__).parent.parent,
        start_new_session=True,  # out of reach of a Ctrl-C
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def watch(directory: Path, uri: str, lock: Path) -> None:
    """Returns when the server has stopped, whoever stopped it."""
    while True:
        _sleep_until_free(lock)
        from resources.postgres.embedded.server import adopted  # noqa: PLC0415 - heavy, and not needed while asleep

        if _is_quiet(uri):
            server = adopted(directory)
            if server is None:
                return
            if server.supervised and _is_quiet(uri, 0.0):
                server.stop()
                return
            server.let_go()
        time.sleep(LOOK_EVERY_S)


def _sleep_until_free(lock: Path) -> None:
    file = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    finally:
        os.close(file)


def _is_quiet(uri: str, for_s: float = QUIET_S) -> bool:
    """True as well where the server is gone."""
    import psycopg  # noqa: PLC0415 - heavy, and not needed while asleep

    from phase3_assets.embedded import OTHERS  # noqa: PLC0415 - heavy, and not needed while asleep

    until = time.monotonic() + for_s
    try:
        with psycopg.connect(uri, autocommit=True) as line:
            while (others := line.execute(OTHERS).fetchone()) == (0,):
                if time.monotonic() >= until:
                    return True
                time.sleep(LOOK_EVERY_S)
            return others is None
    except psycopg.OperationalError:
        return True


if __name__ == "__main__":
    watch(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
