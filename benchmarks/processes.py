"""Processor time of other processes while they live, as Linux tells it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

_TICKS_S = 1 / os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)  # after the name: the parent's id; own and waited-for children's time


@dataclass(frozen=True, slots=True)
class Family:
    """A process with all that it started."""

    pid: int

    @property
    def cpu_s(self) -> float:
        """Seconds, of those that have ended as well."""
        return _cpu_s(self.pid)


def server_of(url: str) -> Family:
    """The PostgreSQL server on this machine that answers there: whose child the backend is."""
    with psycopg.connect(url) as connection:
        return Family(int(_fields(connection.info.backend_pid)[_PARENT]))


def child_running(module: str) -> Family:
    """Our own child that was started as `python -m MODULE`."""
    words = f"-m\0{module}\0".encode()
    running = (pid for pid in _children(os.getpid()) if words in Path(f"/proc/{pid}/cmdline").read_bytes())
    return Family(next(running))


def _cpu_s(pid: int) -> float:
    ticks = sum(map(int, _fields(pid)[_TIMES]))
    return ticks * _TICKS_S + sum(map(_cpu_s, _children(pid)))


def _children(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (thread / "children").read_text().split())


def _fields(pid: int) -> list[str]:
    """Behind the name, which may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
