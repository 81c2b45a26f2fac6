"""A provider client over a scripted vendor, in time that passes only when everybody waits."""

import asyncio
import heapq
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar

from phase3_core.calls import Role
from phase3_core.runs import Run
from resources.http_client import Lost, NotSent, Received, Sending
from resources.providers.catalogue import Row, row
from resources.providers.client import ProviderClient
from resources.providers.gate import Limits
from resources.providers.keys import Keys
from resources.providers.request import Question
from resources.providers.settlement import Tally
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import Call, FakeLedger
from tests.resources.providers.sheet import DANA, EMAIL, KEY

T = TypeVar("T")
MOST_STEPS = 200  # of the event loop, after which everybody is waiting for time to pass
UNLIMITED = Limits(in_flight=100)


@dataclass
class FakeTime(FakeClock):
    """Whoever sleeps is woken in order, as soon as nothing else is left to do."""

    slept: list[float] = field(default_factory=list)
    _sleepers: list[tuple[float, int, asyncio.Future[None]]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.seconds + seconds, next(self._numbers), woken))
        await woken

    async def until(self, work: Coroutine[Any, Any, T] | asyncio.Future[T]) -> T:
        """Lets time pass until the work is done."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.idle(task)
            if not task.done():
                assert self._sleepers, "everybody waits and nobody sleeps"
                self._wake()
        return task.result()

    async def idle(self, task: "asyncio.Future[Any] | None" = None) -> None:
        """Lets everybody do what can be done now, or until the task is done."""
        for _ in range(MOST_STEPS):
            if task is not None and task.done():
                return
            await asyncio.sleep(0)

    def _wake(self) -> None:
        at, _, woken = heapq.heappop(self._sleepers)
        self.advance(max(0.0, at - self.seconds))
        if not woken.done():
            woken.set_result(None)


Step = Received | Exception


def answer(body: Any, status: int = 200, **headers: str) -> Received:
    text = body if isinstance(body, str) else json.dumps(body)
    return Received(status, text, {name.replace("_", "-"): value for name, value in headers.items()})


LOST, NOT_SENT = Lost("ServerDisconnectedError"), NotSent("ClientConnectorError")


@dataclass
class Script:
    """Implements `Transport`: one step for each request, the last one for ever."""

    time: FakeTime
    steps: Sequence[Step]
    takes_s: float
    sent: list[Sending] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)

    async def send(self, sending: Sending) -> Received:
        self.sent.append(sending)
        self.sent_at.append(self.time.seconds)
        await self.time.sleep(self.takes_s)
        step = self.steps[min(len(self.sent), len(self.steps)) - 1]
        if isinstance(step, Exception):
            raise step
        return step

    @property
    def paths(self) -> list[str]:
        return [
            f"{sending.method} {sending.url.removeprefix('https://vendor.example')}" for sending in self.sent
        ]


@dataclass
class Vendor:
    """One provider of the catalogue as one run uses it."""

    name: str
    steps: Sequence[Step]
    time: FakeTime = field(default_factory=FakeTime)
    limits: Limits | None = UNLIMITED  # None: the catalogue's
    takes_s: float = 0.0
    bulk: bool = False
    declared: Row | None = None  # the catalogue's first of that name
    ledger: FakeLedger = field(init=False)
    transport: Script = field(init=False)
    client: ProviderClient = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.time)
        self._begin()

    def _begin(self) -> None:
        declared = self.declared or row(self.name)
        self.transport = Script(self.time, self.steps, self.takes_s)
        self.client = ProviderClient(
            spec=declared.spec,
            terms=replace(declared.terms, limits=self.limits) if self.limits else declared.terms,
            secrets=Keys(dict.fromkeys(declared.spec.secrets, KEY)),
            base_url="https://vendor.example",
            ledger=self.ledger,
            transport=self.transport,
            clock=self.time,
            tally=Tally(),
            sleep=self.time.sleep,
            bulk=self.bulk,
        )

    def next_run(self, *steps: Step, run: Run | None = None) -> "Vendor":
        """Another run over the same ledger; by default the next one of the same campaign."""
        following = replace(self, steps=steps)
        mine = self.ledger.run
        following.ledger = self.ledger.of(run or replace(mine, id=f"{mine.id}+"))
        following._begin()
        return following

    async def ask(self, email: str = EMAIL, **changes: Any) -> Any:
        """The reply about Dana, who may differ; time passes as it must."""
        return await self.time.until(self.asking(email, **changes))

    def asking(self, email: str = EMAIL, **changes: Any) -> Coroutine[Any, Any, Any]:
        verifies = self.client.spec.role is Role.VERIFIER
        return self.client.ask(Question(replace(DANA, **changes), email if verifies else ""))

    @property
    def call(self) -> Call:
        assert len(self.ledger.calls) == 1
        return self.ledger.calls[0]

    @property
    def sends(self) -> int:
        return len(self.transport.sent)
