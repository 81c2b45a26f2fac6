"""Many questions in one request that is answered at once: one place at the gate for all of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from phase3_core.ledger import CallLedger, Intent
from resources.providers.answers import Answer, Problem, Remedy
from resources.providers.gate import Gate
from resources.providers.gathering import Alone, Gathering, Member
from resources.providers.naps import Naps
from resources.providers.request import Request
from resources.providers.response import Response
from resources.providers.spec import Pack

NO_PACKS = {Remedy.BAD_INPUT, Remedy.NOT_IN_PLAN}
LEAST = 2


@dataclass(eq=False)
class PackDesk:
    """One operation's questions of one run. A pack that the vendor refuses is asked one by one."""

    pack: Pack
    ledger: CallLedger
    gate: Gate
    parked: Callable[[], str]
    naps: Naps
    submit: Callable[[Request], Awaitable[Response]]
    problem: Callable[[Response], Problem | None]
    answer: Callable[[Response], Answer]

    def __post_init__(self) -> None:
        self._gathering = Gathering(
            least=LEAST,
            size=self.pack.size,
            linger_s=self.pack.linger_s,
            row=self.pack.row,
            ledger=self.ledger,
            gate=self.gate,
            parked=self.parked,
            naps=self.naps,
            submit=self._submit,
        )

    def join(self, intent: Intent, request: Request) -> Member:
        """Its `sent` is the part of the answer that is its own, and what that says. Raises Alone."""
        return self._gathering.join(intent, request)

    async def _submit(self, fresh: dict[bytes, Member]) -> None:
        requests = [member.request for member in fresh.values()]
        response = await self.submit(self.pack.ask(requests))
        problem = self.problem(response)
        self._refuse(response, problem)
        if problem:
            for member in fresh.values():
                member.sent.set_result((response, problem))
        else:
            self._deal(list(fresh.values()), self.pack.parts(response, requests))

    def _deal(self, members: Sequence[Member], parts: Sequence[Response]) -> None:
        """To each its own. Who has none, where others have, asks again by itself: in a pack it may have none
        again. Where nobody has one, the answer is no answer.
        """
        some_are_told = any(part.body is not None for part in parts)
        for member, part in zip(members, parts, strict=True):
            if part.body is None and some_are_told:
                member.sent.set_exception(Alone("which part is its own is not told", part, billed=True))
            else:
                member.sent.set_result((part, self.problem(part) or self.answer(part)))

    def _refuse(self, response: Response, problem: Problem | None) -> None:
        """A balance that does not cover a pack may cover some of it; a plan without packs takes none."""
        if problem is None:
            return
        if problem.remedy in NO_PACKS:
            self._gathering.unwanted = f"the vendor takes no packs: {problem.detail}"
        if problem.remedy in NO_PACKS | {Remedy.OUT_OF_CREDITS}:
            raise Alone(f"asked one by one: {problem.detail}", response)
