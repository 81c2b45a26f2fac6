import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from sandbox.app import serve
from sandbox.options import Options
from tests.attacks import attack, replaced
from tests.sockets import listening_at

START = [sys.executable, "-m", "sandbox", "--scale", "0.001"]
PATIENCE_S = 30.0  # half of what a connection that stays open could hold it up


def started(*options: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([*START, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, json.loads(process.stdout.readline())["url"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_and_stops_when_told(signum: signal.Signals) -> None:
    process, url = started()
    try:
        with urllib.request.urlopen(f"{url}/_sandbox/bill") as answer:
            assert json.load(answer)["total_usd"] == "0.000000"
        process.send_signal(signum)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()


def test_it_listens_on_loopback_alone() -> None:
    process, url = started()
    try:
        assert listening_at(url) == ["127.0.0.1"]
    finally:
        process.kill()


@attack(
    "The Dagster UI and the sandbox",
    "The sandbox, which knows keys and shows whom it was asked about, is read from elsewhere",
    defence="It listens on loopback unless told otherwise",
    without=replaced((Options.__init__, "__kwdefaults__", vars(Options(host="0.0.0.0")))),
)
async def test_a_sandbox_of_tests_listens_on_loopback_alone() -> None:
    async with serve(Options(scale=0.001)) as sandbox:
        assert listening_at(sandbox.url) == ["127.0.0.1"]


def test_it_never_outlives_its_time() -> None:
    process, _ = started("--max-seconds", "0.2")
    assert process.wait(PATIENCE_S) == 0


def test_it_stops_with_its_parent() -> None:
    command = " ".join([*START, "--stop-with-parent", "&", "echo $!; read line"])
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        pid = int(parent.stdout.readline())
        json.loads(parent.stdout.readline())
        parent.stdin.close()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
