"""Processes of their own, as runs on one machine or many are."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PROCESSES = 3
QUESTIONS = 200
PATIENCE_S = 120.0

# Asks every question at once in an order of its own, and goes on until it has every answer.
RUN = """
import asyncio, json, random, sys
from uuid import uuid4
from sqlalchemy.ext.asyncio import create_async_engine
from phase3_core.calls import ReplayClass
from phase3_core.ledger import End, Granted, Intent, Outcome, Stored, digest
from phase3_core.money import usd
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres.database import driver_url
from resources.postgres.ledger import ledger

async def ask(book, n, granted):
    request = {"n": n}
    question = digest("reoon", "verify", request)
    intent = Intent(question, "reoon", "verify", request, usd(1), None, 60.0, ReplayClass.PER_CALL)
    while not isinstance(opened := await book.open(intent), Stored):
        if isinstance(opened, Granted):
            granted.append(n)
            await asyncio.sleep(random.random() / 50)
            await book.settle(Outcome(opened.key, End.HIT, usd(1), "valid", 200, json.dumps(n)))
        await asyncio.sleep(0.005)
    assert opened.response == n, opened

async def main(url, seed, questions):
    engine, granted = create_async_engine(driver_url(url)), []
    order = random.Random(seed).sample(range(questions), questions)
    async with ledger(engine, Run(uuid4().hex, uuid4(), Agent.EMAIL_VERIFICATION), 3600.0) as book:
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(ask(book, n, granted) for n in order))
    await engine.dispose()
    print(json.dumps(granted))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def _start(url: str, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, url, str(seed), str(QUESTIONS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _granted(process: subprocess.Popen[str]) -> list[int]:
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return list(map(int, json.loads(said)))


def test_processes_that_ask_the_same_at_once_buy_every_answer_once(
    database_url: str, query: Callable[..., list[dict[str, Any]]]
) -> None:
    processes = [_start(database_url, seed) for seed in range(PROCESSES)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        granted = Counter(n for process in processes for n in _granted(process))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert granted == Counter(range(QUESTIONS))
    (sums,) = query(
        "SELECT count(*) AS rows, sum(cost_usd) AS usd, sum(unknown_usd) AS doubt FROM provider_calls"
    )
    assert sums == {"rows": QUESTIONS, "usd": QUESTIONS, "doubt": 0}
