"""Whom a run asks: finders, verifiers and enrichers, each behind the call ledger."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from phase3_core.calls import EnricherReply, FinderReply, Hit, Price, VerifierReply
from phase3_core.enrichment import Source
from phase3_core.leads import Lead
from phase3_core.money import Money
from phase3_core.ports.books import Books
from phase3_core.rate_limits import Allowed
from phase3_core.runs import Run
from phase3_core.waiting import Wait


class Finder(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def price(self) -> Price: ...

    async def find(self, lead: Lead) -> FinderReply: ...


class Verifier(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def price(self) -> Price: ...

    async def verify(self, lead: Lead, email: str) -> VerifierReply: ...


class Enricher(Source, Protocol):
    async def enrich(self, lead: Lead) -> EnricherReply: ...


@dataclass(frozen=True, slots=True)
class Skipped:
    """A provider that this run does without, and why, in words for the user."""

    provider: str
    why: str


class Providers(Protocol):
    """The providers that this run may use, in waterfall order.

    `skipped` grows while the run goes on: a key that is refused parks its provider.
    """

    @property
    def finders(self) -> Sequence[Finder]: ...

    @property
    def verifiers(self) -> Sequence[Verifier]:
        """Whoever verifies first, and whoever is asked for a second opinion."""
        ...

    @property
    def enrichers(self) -> Sequence[Enricher]: ...

    @property
    def skipped(self) -> Sequence[Skipped]: ...

    @property
    def away(self) -> Sequence[Wait]:
        """Those of them that may not be asked at this moment, why, and until when."""
        ...

    @property
    def allowed(self) -> Mapping[str, Allowed]:
        """What their vendors allow them, by name."""
        ...

    @property
    def remembered(self) -> "Providers":
        """The same, who tell again what they were paid for and are asked for nothing new."""
        ...

    def spent_on(self, lead: Lead) -> Money:
        """USD that this lead's own calls have cost, of those that were needed again in this run."""
        ...

    async def recollect(self, caps: Mapping[UUID, Money]) -> Collection[UUID]:
        """For leads that come into work, by id with what each may cost, USD: what earlier runs paid for them.

        Whoever was paid may be gone, or come later: nothing new is bought that goes beyond the cap with it.
        Returns those of whom anything was paid.
        """
        ...

    async def bought(self, lead: Lead) -> Mapping[str, Hit]:
        """What finders named, by finder, that are not asked any more: switched off, or without a key."""
        ...

    def stop_buying(self, scope: str) -> None:
        """For the rest of the run, as if the budget of that scope were spent."""
        ...

    def done_with(self, lead: Lead) -> None:
        """Nothing more is asked for this lead: what is kept free to verify its address is free again."""
        ...


class ProviderSource(Protocol):
    def open(self, run: Run, books: Books) -> AbstractAsyncContextManager[Providers]:
        """The providers that have a key, each behind the call ledger; settles what is in flight on exit."""
        ...
