"""Whether a provider is asked one kind of question at this moment; if not, why and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from phase3_core.breaker import OPEN_S, Open
from phase3_core.calls import Gap, NoAnswer, Reply
from phase3_core.ports.clock import Clock
from resources.http_client import Lost
from resources.providers.answers import Problem, Remedy
from resources.providers.gate import Gate
from resources.providers.health import Health
from resources.providers.response import Response, told_to_pause
from resources.providers.retries import LONGEST_WAIT_S

NO_SERVICE = "its service fails"
QUOTA_SPENT = "its quota is spent"
LONGEST_REST_S = 31 * 86_400.0  # whatever a vendor tells us to wait: no quota is reset later


@dataclass
class Standing:
    """One question's of one vendor, whose other questions share its `health` and maybe its `gate`.

    `barred`: why this question is not asked, in words, whatever holds for the others.
    """

    health: Health
    gate: Gate
    clock: Clock
    barred: str = ""
    _put_off: NoAnswer | None = None

    # --- whether it is asked

    @property
    def parked(self) -> str:
        """Why it is left alone, if it is: the vendor as a whole, or this question of it."""
        return self.health.parked or self.barred

    @property
    def left_alone(self) -> str:
        """Why it is not asked at this moment: parked, or its breaker is not closed."""
        return self.parked or self.health.broken

    @property
    def put_off(self) -> NoAnswer | None:
        """By a quota or a cap, as long as that holds; of its health see `health`."""
        reply = self._put_off
        over = reply is None or (reply.until is not None and reply.until <= self.clock.now())
        return None if over else reply

    @property
    def jobs_are_read(self) -> bool:
        """An account without credits still tells what was bought with the last of them."""
        return not (self.barred or (self.parked and not self.health.out_of_credits) or self.health.open)

    @property
    def may_be_back(self) -> bool:
        """Its account was empty, and a call is to find out whether it still is."""
        return self.health.may_be_back and not self.barred

    @property
    def away(self) -> NoAnswer | None:
        """Parked, or its breaker open; None also when it is time to probe, or to try an empty account."""
        if self.may_be_back:
            return None
        if self.parked:
            return NoAnswer(Gap.PARKED, self.parked)
        broken = self.health.open
        return self.later(broken) if broken else None

    def not_now(self) -> NoAnswer:
        return self.away or self.later(None)

    def later(self, broken: Open | None) -> NoAnswer:
        """The lead waits; the reason is the same few words for all, so that they can be counted."""
        briefly = broken is not None and broken.brief
        return NoAnswer(Gap.LATER, NO_SERVICE, self.asked_again_at(broken), briefly)

    def asked_again_at(self, broken: Open | None) -> datetime:
        wait_s = broken.worth_a_run_at - self.health.exchange.now() if broken else OPEN_S
        return self.clock.now() + timedelta(seconds=wait_s)

    # --- what calls show

    def answered(self, reply: Reply, response: Response) -> None:
        self.health.answered(reply)
        self.gate.throve()
        self.hold(told_to_pause(response) or 0.0)

    def lost(self, failure: Lost) -> None:
        self.health.failed(str(failure), failure)
        self.gate.struggled()

    def failed(self, response: Response, problem: Problem, said: str) -> None:
        """JSON of another shape is the vendor's own; what is no JSON is some gateway's and passes."""
        if problem.remedy is Remedy.NONSENSE and response.body is not None:
            self.health.unreadable(said, problem)
        else:
            self.health.failed(said, problem)
        self.gate.struggled()

    def hold(self, wait_s: float) -> datetime | None:
        """Nobody asks for so long; until when it is skipped, where that is too long to wait for."""
        if wait_s <= LONGEST_WAIT_S:
            self.gate.hold(wait_s)
            return None
        wait_s = min(wait_s, LONGEST_REST_S)
        until = self.clock.now() + timedelta(seconds=wait_s)
        self.gate.rest(wait_s, until)
        return until

    def park(self, remedy: Remedy, said: str) -> None:
        why = f"{remedy.value.replace('_', ' ')}: {said}"
        match remedy:
            case Remedy.NOT_IN_PLAN:
                self.barred = why
                self.health.not_asked()
            case Remedy.OUT_OF_CREDITS:
                self.health.empties(why)
            case _:
                self.health.park(why)

    def note(self, reply: Reply | NoAnswer) -> None:
        """How a call has ended: a lead that a quota or a cap put off shows that others would be, too."""
        if isinstance(reply, NoAnswer) and reply.gap is Gap.LATER and reply.detail != NO_SERVICE:
            self._put_off = reply
