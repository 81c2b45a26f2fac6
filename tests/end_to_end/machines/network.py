"""Machines of our own: network namespaces on a bridge. The loopback of this one is not in their reach."""

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.caretaker import told_of_our_end

PUT_AWAY = (
    'read -r end; ip link delete "$1"; shift; for machine; do'
    ' ip netns pids "$machine" | xargs -r kill -s KILL; ip netns delete "$machine"; done'
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Knows its own address and the network's, and nothing else."""

    name: str
    address: str
    cable: str

    def reached(self, command: Sequence[str | Path]) -> list[str | Path]:
        """The command that runs this one there."""
        return ["ip", "netns", "exec", self.name, *command]

    def dies(self) -> None:
        """Without a word to anybody: its cable is pulled before its processes go."""
        _ip("link", "set", self.cable, "down")
        for process in _ip("netns", "pids", self.name).split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Network:
    """`address` is ours, where the machines find what we serve."""

    address: str
    machines: tuple[Machine, ...]


def missing() -> str:
    """Why there can be no machines here; empty where there can be."""
    programs = [name for name in ("ip", "redis-server", "xargs") if shutil.which(name) is None]
    packages = [name for name in ("dagster_celery", "redis") if importlib.util.find_spec(name) is None]
    if programs or packages:
        return f"not installed: {', '.join(programs + packages)}"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    trial = f"p3-{os.getpid()}-trial"
    made = subprocess.run(["ip", "netns", "add", trial], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespaces: {made.stderr.strip()}"
    _ip("netns", "delete", trial)
    return ""


@contextmanager
def network(machines: int) -> Iterator[Network]:
    """It goes with the block, and with us."""
    name, subnet = f"p3-{os.getpid()}", f"10.203.{os.getpid() % 256}"
    made = [Machine(f"{name}-{n}", f"{subnet}.{n + 1}", f"{name}-{n}") for n in range(1, machines + 1)]
    with ExitStack() as until_the_end:
        names = [machine.name for machine in made]
        until_the_end.enter_context(told_of_our_end(["sh", "-c", PUT_AWAY, "sh", name, *names]))
        _ip("link", "add", name, "type", "bridge")
        _ip("address", "add", f"{subnet}.1/24", "dev", name)
        _ip("link", "set", name, "up")
        for machine in made:
            _connect(machine, name)
        yield Network(f"{subnet}.1", tuple(made))


def _connect(machine: Machine, bridge: str) -> None:
    _ip("netns", "add", machine.name)
    _ip("link", "add", machine.cable, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
    _ip("link", "set", machine.cable, "master", bridge, "up")
    _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
    for interface in ("lo", "eth0"):
        _ip("-n", machine.name, "link", "set", interface, "up")


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout
