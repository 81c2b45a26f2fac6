"""Eight processes at one account's limit, as runs on many machines are."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from tempfile import TemporaryFile
from typing import IO, Any

import pytest

pytestmark = pytest.mark.slow

Query = Callable[..., list[dict[str, Any]]]
PROCESSES = 8
TRIES = 3  # a busy machine wakes its processes too late for their moments

# Imports once, then forks: `what` is done by every child, which tells what it saw as one line of JSON.
RUN = """
import asyncio, json, os, random, sys, time
from uuid import uuid4
from sqlalchemy.ext.asyncio import create_async_engine
from resources.postgres.database import driver_url
from resources.postgres.rate_limits import shared_rate_limits
from resources.providers.gate import Gate, Limits

async def book(limits, allowed, seconds):
    # Moments on the database's clock, booked as fast as can be in chunks of all sizes.
    limit, booked = limits.of(Limits(**allowed).allowance("acme/key/calls")), []
    for _ in range(12):
        slots = await limit.book(random.randint(1, 7))
        booked.append((slots.opens - limits.time.offset_s, slots.gap_s, slots.count))
    return booked

async def ask(limits, allowed, seconds):
    # When each of many callers came in at the gate and left it.
    gate = Gate(Limits(**allowed), time.monotonic, asyncio.sleep, limits.of, "acme/key/calls")
    end, stays = time.time() + seconds, []
    async def caller():
        while time.time() < end:
            async with gate.place():
                came = time.time()
                await asyncio.sleep(random.random() / 20)
                stays.append((came, time.time()))
    callers = [asyncio.create_task(caller()) for _ in range(30)]
    await asyncio.wait(callers, timeout=seconds)
    for one in callers:
        one.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await gate.close()
    return stays

async def child(what, url, allowed, seconds):
    engine = create_async_engine(driver_url(url), pool_size=2)
    async with shared_rate_limits(engine, uuid4()) as limits:
        saw = await what(limits, allowed, seconds)
    await engine.dispose()
    sys.stdout.write(json.dumps(saw) + "\\n")
    sys.stdout.flush()

what, url, allowed, seconds, processes = sys.argv[1:]
if all(os.fork() for _ in range(int(processes))):
    for _ in range(int(processes)):
        os.wait()
else:
    asyncio.run(child(globals()[what], url, json.loads(allowed), float(seconds)))
    os._exit(0)
"""


@dataclass
class Crowd:
    process: subprocess.Popen[str]
    said: IO[str]

    @property
    def working(self) -> bool:
        return self.process.poll() is None

    def saw(self) -> list[list[Any]]:
        """What each of them saw, once they are done."""
        assert self.process.wait(timeout=60) == 0
        self.said.seek(0)
        lines = [json.loads(line) for line in self.said]
        assert len(lines) == PROCESSES
        return lines


@contextmanager
def crowd(what: str, url: str, seconds: float, **allowed: float) -> Iterator[Crowd]:
    command = [sys.executable, "-c", RUN, what, url, json.dumps(allowed), str(seconds), str(PROCESSES)]
    with TemporaryFile("w+") as said, subprocess.Popen(command, stdout=said, text=True) as process:
        try:
            yield Crowd(process, said)
        finally:
            process.kill()


def moments(booked: list[list[Any]]) -> list[float]:
    return sorted(
        opens + n * gap_s for child in booked for opens, gap_s, count in child for n in range(count)
    )


def most_within(span_s: float, times: list[float]) -> int:
    """The most of them in any window."""
    return max(sum(start <= at < start + span_s for at in times) for start in times)


def test_no_window_holds_more_moments_than_the_vendor_allows(database_url: str) -> None:
    with crowd("book", database_url, 0, per_minute=300) as eight:
        booked = moments(eight.saw())
    gap_s = 60 * 1.01 / 300
    assert min(later - earlier for earlier, later in pairwise(booked)) > gap_s - 1e-3
    assert most_within(60.0, booked) <= 300


def test_five_a_minute_are_five_in_any_minute_and_none_is_left_out(database_url: str) -> None:
    with crowd("book", database_url, 0, per_minute=5) as eight:
        booked = moments(eight.saw())
    assert most_within(60.0, booked) == 5
    assert max(later - earlier for earlier, later in pairwise(booked)) < 60 * 1.01 / 5 + 1e-3


def test_requests_leave_as_fast_as_allowed_and_no_faster(database_url: str, query: Query) -> None:
    used: list[float] = []
    requests = 0
    while len(used) < TRIES and max(used, default=0.0) < 0.95:
        with crowd("ask", database_url, 6, per_minute=2_400, in_flight=200) as eight:
            left = sorted(came for child in eight.saw() for came, _ in child)
        steady = left[10:]  # once several are at work
        used.append((len(steady) - 1) / (steady[-1] - steady[0]) / (2_400 / 60))
        requests += len(left)
    assert max(used) <= 1.0
    assert max(used) >= 0.95
    [limit] = query("SELECT used_today, strain FROM rate_limits")
    booked_and_not_used = len(used) * PROCESSES * 20  # a chunk each
    assert limit["used_today"] <= requests + booked_and_not_used
    assert limit["strain"] == 1


def test_no_second_sees_more_requests_than_the_vendor_allows(database_url: str) -> None:
    with crowd("ask", database_url, 6, per_second=30, in_flight=200) as eight:
        left = sorted(came for child in eight.saw() for came, _ in child)
    assert len(left) > 30
    assert most_within(1.0, left) <= 30


def concurrency(stays: list[tuple[float, float]]) -> int:
    edges = sorted([(came, 1) for came, _ in stays] + [(left, -1) for _, left in stays])
    now = most = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def test_places_in_flight_are_divided_and_never_exceeded(database_url: str, query: Query) -> None:
    fair = False
    tries = 0
    while not fair and tries < TRIES:
        tries += 1
        held: list[list[int]] = []
        with crowd("ask", database_url, 6, in_flight=20) as eight:
            while eight.working:
                held.append([row["held"] for row in query("SELECT held FROM rate_limit_places")])
                time.sleep(0.05)
            stays = [(came, left) for child in eight.saw() for came, left in child]
        fair = any(len(each) == PROCESSES and min(each) == 20 // PROCESSES for each in held)
        assert max(map(sum, held)) == 20
        assert concurrency(stays) <= 20
        assert query("SELECT * FROM rate_limit_places") == []
    assert fair
