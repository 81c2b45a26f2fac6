"""The order in which a campaign asks its finders, by figures that stand once it has begun."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from phase3_core.circumstances import Circumstances
from phase3_core.course import flow, lines
from phase3_core.cuts import carries
from phase3_core.foresight import bench_of, circumstances, roles
from phase3_core.money import total
from phase3_core.order import CheapestValid, Patience
from phase3_core.plan import Plan
from phase3_core.planner import Bench, Model, model_of
from phase3_core.policy import Ordering, Policy, Routing
from phase3_core.ports.books import Books
from phase3_core.ports.providers import Providers
from phase3_core.priors import CATCH_ALL
from phase3_core.rates import FinderRates, Seen
from phase3_core.record import Group, Kept, Record
from phase3_core.routing import Dealer, Outlook, Shares


@dataclass(frozen=True, slots=True)
class Ordered:
    """Gives a plan the order that the policy wants."""

    campaign_id: UUID
    books: Books
    providers: Providers
    policy: Policy
    now: datetime

    async def plan(self, plan: Plan, *, keeps: bool) -> Plan:
        """`keeps`: the figures are written down where they are not yet, for the runs that resume it."""
        if not self._needs_figures:
            return plan
        kept = await self.books.track_record.kept(self.campaign_id)
        if kept is None:
            kept = await self._figures(plan)
            if keeps:
                await self.books.track_record.keep(self.campaign_id, kept)
        return self._with(plan, kept)

    @property
    def _needs_figures(self) -> bool:
        policy = self.policy
        as_listed = policy.ordering is Ordering.AS_LISTED and policy.routing is Routing.FIRST
        return not as_listed or policy.patience is not None

    async def _figures(self, plan: Plan) -> Kept:
        known = roles(self.providers)
        record = await self.books.track_record.record(self.campaign_id, known)
        kept = Kept(record.finders)
        if self.policy.routing is Routing.FIRST:
            return kept
        groups = await self.books.track_record.groups(self.campaign_id, known.finders)
        around = await circumstances(self.campaign_id, self.books, self.providers, self.now)
        bench = bench_of(self.providers, self._with(plan, kept), self.policy.lead_caps)
        return replace(kept, starts=await asyncio.to_thread(dealt_out, bench, groups, record, around))

    def _with(self, plan: Plan, kept: Kept) -> Plan:
        figures = _cheapest_valid(plan, self.policy, kept.finders)
        if self.policy.patience is not None:
            plan = replace(plan, patience=Patience(self.policy.patience, figures))
        if self.policy.ordering is Ordering.CHEAPEST_VALID:
            plan = replace(plan, order=figures)
        return replace(plan, starts=kept.starts if self.policy.routing is Routing.EARLIEST else ())


def _cheapest_valid(plan: Plan, policy: Policy, seen: Iterable[Seen]) -> CheapestValid:
    second = CATCH_ALL * float(plan.second.ceiling) if plan.second and plan.second_opinion else 0.0
    return CheapestValid(
        prices={quote.provider: quote.price for quote in plan.finders},
        verification=float(plan.verifier.ceiling) + second,
        rates=FinderRates(seen),
        worth=policy.worth,
    )


def dealt_out(bench: Bench, groups: Sequence[Group], record: Record, around: Circumstances) -> Shares:
    """With whom leads start, so that finding their addresses ends earliest within the budgets for it.

    As the forecast follows them: where a finder's day is short, leads go on to the next one by themselves.
    """
    names = [quote.provider for quote in bench.plan.in_turn()]
    plan = replace(bench.plan, starts=tuple((name, 1.0) for name in names))
    model = model_of(replace(bench, plan=plan, enrichers=()), groups, record)
    ways = dict(zip(names, model.ways, strict=True))

    def foresee(dealt: Shares) -> Outlook:
        return _outlook(
            replace(model, ways=[replace(ways[name], share=share) for name, share in dealt]), around
        )

    return Dealer(names, foresee).shares()


def _outlook(model: Model, around: Circumstances) -> Outlook:
    bought = lines(model, flow(model, model.usual, around.quotas(model.sellers)))
    work = around.work(bought).values()
    return Outlook(
        days=max((one.days for one in work), default=1),
        seconds=max((one.lasts_s for one in work), default=0.0),
        cost=float(total(line.cost for line in bought)),
        carried=carries(bought, around.budgets),
    )
