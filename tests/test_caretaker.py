"""Tests that are killed leave no process and no folder behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.caretaker import CHECKOUT
from tests.end_to_end.shell import until

ABORTED = """
import subprocess, sys
from resources.postgres.embedded.server import running
from tests.caretaker import cared_for, not_outliving_us

with (
    cared_for("phase3-aborted-") as folder,
    running(folder / "state", durable=False) as server,
    subprocess.Popen(["sleep", "600"], start_new_session=True) as sleeping,
    not_outliving_us(sleeping),
):
    postmaster = (server.data_dir / "postmaster.pid").read_text().split()[0]
    print(folder, postmaster, sleeping.pid, flush=True)
    sys.stdin.read()
"""


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc, to see who is left")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_tests_leave_nothing_behind(number: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", ABORTED]
    with subprocess.Popen(
        command, env=environment, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as aborted:
        assert aborted.stdout is not None
        folder, *pids = aborted.stdout.readline().split()
        left = [pid for pid in map(int, pids) if runs(pid)]
        assert len(left) == 2
        aborted.send_signal(number)
    until(lambda: not any(map(runs, left)), 30)
    until(lambda: not Path(folder).exists(), 30)
