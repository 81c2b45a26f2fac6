"""The providers of one run, as the use cases see them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from phase3_core.calls import (
    EnricherReply,
    Facts,
    FinderReply,
    Gap,
    Hit,
    Judgement,
    Miss,
    NoAnswer,
    Price,
    Reply,
    VerifierReply,
)
from phase3_core.leads import Lead
from phase3_core.ledger import CallLedger
from phase3_core.money import Money, total
from phase3_core.ports.providers import Skipped
from phase3_core.rate_limits import Allowed
from phase3_core.statuses import Verdict
from phase3_core.tiers import Topic
from phase3_core.waiting import Wait
from resources.providers.client import ProviderClient
from resources.providers.request import Question
from resources.providers.settlement import Tally
from resources.providers.standing import NO_SERVICE


@dataclass(frozen=True, slots=True)
class OneProvider:
    """A provider as the use cases see it: any role, its replies narrowed to that role's.

    `account`: the name by which its calls are counted with those of other runs.
    """

    client: ProviderClient
    account: str = ""

    @property
    def name(self) -> str:
        return self.client.spec.label

    @property
    def left_alone(self) -> Skipped | None:
        """Parked: the vendor as a whole, or only this question of it."""
        spec, health, barred = self.client.spec, self.client.health, self.client.standing.barred
        if health.parked or health.broken:
            return Skipped(spec.name, health.parked or self._told_of_breaker())
        return Skipped(spec.label, barred) if barred else None

    def _told_of_breaker(self) -> str:
        told = f"{NO_SERVICE} ({self.client.health.broken})"
        if broken := self.client.health.open:
            return f"{told}; it is asked again after {self.client.standing.asked_again_at(broken):%H:%M} UTC"
        return told

    @property
    def away(self) -> Wait | None:
        """Why it may not be asked at this moment, if it may not."""
        standing, broken = self.client.standing, self.client.health.open
        if standing.parked and not standing.may_be_back:
            return Wait(self.name, standing.parked)
        if put_off := standing.put_off:
            return Wait(self.name, put_off.detail, put_off.until)
        return Wait(self.name, NO_SERVICE, standing.asked_again_at(broken)) if broken else None

    @property
    def price(self) -> Price:
        return self.client.terms.price

    @property
    def allowed(self) -> Allowed:
        spec, limits = self.client.spec, self.client.terms.limits
        reads = limits.reads_per_minute
        rates = (limits.rate, None if reads is None or self.client.bulk else reads / 60)
        return Allowed(
            account=self.account,
            rate=min((rate for rate in rates if rate is not None), default=None),
            per_day=limits.per_day,
            in_flight=limits.in_flight,
            bulk=self.client.bulk,
            operations=tuple(f"{spec.name}/{operation.name}" for operation in spec.operations),
        )

    @property
    def topics(self) -> frozenset[Topic]:
        return self.client.spec.topics

    @property
    def per_company(self) -> bool:
        return self.client.spec.per_company

    async def _told(self, question: Question) -> Reply | NoAnswer:
        return await self.client.ask(question)

    async def find(self, lead: Lead) -> FinderReply:
        match await self._told(Question(lead, options=self.client.options)):
            case Hit() | Miss() | NoAnswer() as reply:
                return reply
            case Judgement() | Facts():
                return NoAnswer(Gap.DOWN, "the answer is not a finder's")

    async def verify(self, lead: Lead, email: str) -> VerifierReply:
        """An address that the verifier refuses as input stays unknown: a refusal is no verdict."""
        match await self._told(Question(lead, email, self.client.options)):
            case Judgement() | NoAnswer() as reply:
                return reply
            case Hit() | Miss() | Facts():
                return Judgement(Verdict.UNKNOWN)

    async def enrich(self, lead: Lead) -> EnricherReply:
        match await self._told(Question(lead, options=self.client.options)):
            case Facts() | Miss() | NoAnswer() as reply:
                return reply
            case Hit() | Judgement():
                return NoAnswer(Gap.DOWN, "the answer is not an enricher's")


@dataclass(frozen=True, slots=True)
class Remembered(OneProvider):
    """Tells again what it was paid for."""

    async def _told(self, question: Question) -> Reply | NoAnswer:
        return await self.client.recall(question)


@dataclass
class OpenProviders:
    """Implements `Providers` for one run. `former`: finders that tell again what they were paid for."""

    finders: Sequence[OneProvider]
    verifiers: Sequence[OneProvider]
    enrichers: Sequence[OneProvider]
    left_out: Sequence[Skipped]
    ledger: CallLedger | None = None
    tally: Tally = field(default_factory=Tally)
    former: Sequence[OneProvider] = ()

    def __post_init__(self) -> None:
        """A find is worth its price only if it can be verified."""
        verification = total(one.price.ceiling for one in self.verifiers[:2])
        for finder in (*self.finders, *self.former):
            finder.client.keeps = verification

    @property
    def allowed(self) -> dict[str, Allowed]:
        return {one.name: one.allowed for one in self.all}

    @property
    def spent(self) -> Money:
        """USD that this run's calls have cost so far, unknown bills at their worst."""
        return self.tally.spent

    @property
    def remembered(self) -> "OpenProviders":
        finders, verifiers, enrichers = (
            [Remembered(one.client) for one in role]
            for role in (self.finders, self.verifiers, self.enrichers)
        )
        return replace(self, finders=finders, verifiers=verifiers, enrichers=enrichers)

    def spent_on(self, lead: Lead) -> Money:
        return self.tally.of(lead.id)

    async def recollect(self, caps: Mapping[UUID, Money]) -> Collection[UUID]:
        paid = await self.ledger.paid(list(caps)) if self.ledger else {}
        for lead_id, of_lead in paid.items():
            self.tally.recollect(lead_id, of_lead, caps[lead_id])
        return paid.keys()

    async def bought(self, lead: Lead) -> dict[str, Hit]:
        told = {one.name: await Remembered(one.client).find(lead) for one in self.former}
        return {name: reply for name, reply in told.items() if isinstance(reply, Hit)}

    def stop_buying(self, scope: str) -> None:
        if self.ledger:
            self.ledger.stop_buying(scope)

    def done_with(self, lead: Lead) -> None:
        self.tally.forget(lead.id)
        if self.ledger:
            self.ledger.done_with(lead.id)

    @property
    def all(self) -> list[OneProvider]:
        return [*self.finders, *self.verifiers, *self.enrichers]

    @property
    def away(self) -> list[Wait]:
        return [wait for one in self.all if (wait := one.away)]

    @property
    def skipped(self) -> list[Skipped]:
        parked = dict.fromkeys(alone for one in self.all if (alone := one.left_alone))
        return [*self.left_out, *parked]
