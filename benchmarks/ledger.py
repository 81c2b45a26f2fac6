"""Durable calls per second against a bare aiohttp loop: the same requests to the same loopback server.

Both in this process and this run, alternating, so that a noisy machine slows both. Prints a table; the
ratio durable / bare is the figure.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import aiohttp

from phase3_assets import loop, vendor_sandbox
from phase3_core.calls import Hit, Miss
from phase3_core.leads import Lead
from phase3_core.ports import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.clock import SystemClock
from resources.http_client import http_client
from resources.postgres.database import PostgresDatabase, upgrade
from resources.postgres.embedded.server import running
from resources.postgres.ledger import ledger
from resources.providers.catalogue import row
from resources.providers.client import ProviderClient
from resources.providers.gate import Limits
from resources.providers.keys import Keys
from resources.providers.settlement import Tally
from resources.providers.spec import Question

IN_FLIGHT = 256


def lead(number: int) -> Lead:
    campaign = uuid4()
    return Lead(uuid4(), campaign, f"First{number}", f"Last{number}", "Acme", "acme.example", Tier.A, 90)


async def spread(work: Callable[[int], Awaitable[None]], numbers: Iterable[int]) -> float:
    """Seconds to do all of it with IN_FLIGHT workers."""
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - began


async def bare(sandbox: vendor_sandbox.Sandbox, numbers: range) -> float:
    url = f"{sandbox.variables['TOMBA_BASE_URL']}/email-finder"
    headers = {
        "X-Tomba-Key": sandbox.variables["TOMBA_API_KEY"],
        "X-Tomba-Secret": sandbox.variables["TOMBA_API_SECRET"],
    }
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256), headers=headers) as session:

        async def call(number: int) -> None:
            query = {"domain": "acme.example", "first_name": f"First{number}", "last_name": f"Last{number}"}
            async with session.get(url, params=query) as response:
                json.loads(await response.read())

        return await spread(call, numbers)


async def durable(url: str, sandbox: vendor_sandbox.Sandbox, numbers: range) -> float:
    run = Run(str(uuid4()), uuid4(), Agent.EMAIL_VERIFICATION)
    tomba = row("tomba")
    terms = replace(tomba.terms, limits=Limits(in_flight=1000))
    async with (
        PostgresDatabase(url).open(run) as books,
        ledger(books.engine, run, 604_800.0, books.fence) as book,
        http_client() as http,
    ):
        client = ProviderClient(
            spec=tomba.spec,
            terms=terms,
            secrets=Keys({name: sandbox.variables[name] for name in tomba.spec.secrets}),
            base_url=sandbox.variables["TOMBA_BASE_URL"],
            ledger=book,
            transport=http,
            clock=SystemClock(),
            tally=Tally(),
        )

        leads = {number: lead(number) for number in numbers}

        async def call(number: int) -> None:
            reply = await client.ask(Question(leads[number]))
            if not isinstance(reply, Hit | Miss):
                raise TypeError(f"the sandbox gave no answer: {reply}")

        return await spread(call, numbers)


async def measure(
    url: str, sandbox: vendor_sandbox.Sandbox, calls: int, rounds: int
) -> list[tuple[float, float]]:
    """Calls per second (bare, durable) for each round; no question is asked twice."""
    rates = []
    for number in range(rounds + 1):
        first = number * calls
        plain = calls / await bare(sandbox, range(first, first + calls))
        kept = calls / await durable(url, sandbox, range(10**7 + first, 10**7 + first + calls))
        if number:  # the first round warms up
            rates.append((plain, kept))
    return rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-least", type=float, default=0.4, help="fail below this ratio")
    given = parser.parse_args()
    options = ("--latency-ms", "0", "--rate-factor", "100000")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)  # the server's own user must pass
        with (
            running(Path(directory) / "postgres") as server,
            vendor_sandbox.started(*options) as sandbox,
        ):
            upgrade(server.uri)
            rates = loop.run(measure(server.uri, sandbox, given.calls, given.rounds))
    ratios = [kept / plain for plain, kept in rates]
    print(f"{'round':>5} {'bare/s':>9} {'durable/s':>10} {'ratio':>6}")
    for number, ((plain, kept), ratio) in enumerate(zip(rates, ratios, strict=True), 1):
        print(f"{number:>5} {plain:>9,.0f} {kept:>10,.0f} {ratio:>6.2f}")
    median = statistics.median(ratios)
    print(f"median ratio {median:.2f} (at least {given.at_least} wanted), {IN_FLIGHT} in flight")
    return 0 if median >= given.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
