"""Durable calls per second against a bare aiohttp loop: the same requests to the same loopback server.

Beside it the same requests as steps of dbos workflows and as plain Dagster ops; fewer of them, for they are
slow. All in this process and this run, alternating, so that a noisy machine slows all. Prints a
table; the figures are the ratio durable / bare, and how many calls we make for one of the other two.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from uuid import uuid4

import aiohttp

from benchmarks import aside
from benchmarks.engines import IN_FLIGHT_OF_DBOS, Call, as_ops, with_dbos
from phase3_assets import loop, vendor_sandbox, workplace
from phase3_core.calls import Hit, Miss
from phase3_core.leads import Lead
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.clock import SystemClock
from resources.http_client import http_client
from resources.postgres.database import PostgresDatabase
from resources.postgres.embedded.cluster import DAGSTER_DATABASE
from resources.postgres.embedded.server import EmbeddedPostgres, running
from resources.postgres.ledger import ledger
from resources.postgres.upgrade import upgrade
from resources.providers.catalogue import row
from resources.providers.client import ProviderClient
from resources.providers.gate import Limits
from resources.providers.keys import Keys
from resources.providers.request import Question
from resources.providers.settlement import Tally

IN_FLIGHT = 256
VENDORS = ("--latency-ms", "0", "--rate-factor", "100000")


@dataclass(frozen=True, slots=True)
class Rates:
    """Calls per second in one round; None of dbos where it is not installed."""

    bare: float
    durable: float
    dbos: float | None
    dagster: float

    @property
    def ratio(self) -> float:
        return self.durable / self.bare


def lead(number: int) -> Lead:
    campaign = uuid4()
    return Lead(uuid4(), campaign, f"First{number}", f"Last{number}", "Acme", "acme.example", Tier.A, 90)


async def rate(call: Call, numbers: Sequence[int], in_flight: int = IN_FLIGHT) -> float:
    """Calls per second of so many workers."""
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return len(numbers) / (time.perf_counter() - began)


@asynccontextmanager
async def asking(sandbox: vendor_sandbox.Sandbox) -> AsyncIterator[Call]:
    """A call as bare as can be."""
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

        yield call


async def durable(url: str, sandbox: vendor_sandbox.Sandbox, numbers: Sequence[int]) -> float:
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

        return await rate(call, numbers)


async def steps_rate(workflow: Call | None, numbers: Sequence[int]) -> float | None:
    return await rate(workflow, numbers, IN_FLIGHT_OF_DBOS) if workflow else None


async def ops_rate(call: Call, numbers: Sequence[int]) -> float:
    began = time.perf_counter()
    await as_ops(call, numbers)
    return len(numbers) / (time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Calls of each kind in one round."""

    calls: int
    steps: int
    ops: int


async def measure(url: str, sandbox: vendor_sandbox.Sandbox, sizes: Sizes, rounds: int) -> list[Rates]:
    """No question is asked twice. The first round warms up."""
    numbers = count()
    async with asking(sandbox) as call, with_dbos(url, call) as workflow:

        async def round_of() -> Rates:
            return Rates(
                bare=await rate(call, list(islice(numbers, sizes.calls))),
                durable=await durable(url, sandbox, list(islice(numbers, sizes.calls))),
                dbos=await steps_rate(workflow, list(islice(numbers, sizes.steps))),
                dagster=await ops_rate(call, list(islice(numbers, sizes.ops))),
            )

        return [await round_of() for _ in range(rounds + 1)][1:]


def measured(sizes: Sizes, rounds: int) -> list[Rates]:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as opened:
        Path(directory).chmod(0o711)  # the server's own user must pass
        server = opened.enter_context(running(Path(directory) / "postgres"))
        upgrade(server.uri)
        opened.enter_context(workplace.environment(**places(Path(directory), server)))
        opened.enter_context(workplace.database(aside))
        sandbox = opened.enter_context(vendor_sandbox.started(*VENDORS))
        return loop.run(measure(server.uri, sandbox, sizes, rounds))


def places(directory: Path, server: EmbeddedPostgres) -> dict[str, str]:
    """Dagster keeps its records on the same server."""
    return {
        workplace.STATE_DIR: str(directory),
        workplace.DATABASE_URL: server.uri,
        workplace.DAGSTER_URL: server.database_uri(DAGSTER_DATABASE),
    }


def times(rates: Rates, other: float | None) -> str:
    return f"{rates.durable / other:>6.0f}" if other else f"{'-':>6}"


def told(rounds: Sequence[Rates]) -> None:
    print(
        f"{'round':>5} {'bare/s':>8} {'durable/s':>9} {'ratio':>6} "
        f"{'dbos/s':>7} {'times':>6} {'ops/s':>6} {'times':>6}"
    )
    for number, one in enumerate(rounds, 1):
        print(
            f"{number:>5} {one.bare:>8,.0f} {one.durable:>9,.0f} {one.ratio:>6.2f} "
            f"{one.dbos or 0:>7,.0f} {times(one, one.dbos)} {one.dagster:>6,.0f} {times(one, one.dagster)}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=500, help="calls as steps of dbos")
    parser.add_argument("--ops", type=int, default=40, help="calls as Dagster ops")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-least", type=float, default=0.4, help="fail below this ratio")
    given = parser.parse_args()
    rounds = measured(Sizes(given.calls, given.steps, given.ops), given.rounds)
    told(rounds)
    median = statistics.median(one.ratio for one in rounds)
    print(f"median ratio {median:.2f} (at least {given.at_least} wanted), {IN_FLIGHT} in flight")
    return 0 if median >= given.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
