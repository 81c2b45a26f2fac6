"""A campaign as the planner sees it: leads alike, whom they are asked of, and how likely each answer is.

Everything that is not certain is a named rate, so that each can be moved to see what hangs on it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, combinations

from phase3_core.calls import Billing, Price
from phase3_core.enrichment import Source, in_order
from phase3_core.market import FINDERS
from phase3_core.money import Money, usd
from phase3_core.plan import Plan
from phase3_core.policy import LeadCaps
from phase3_core.priors import CATCH_ALL, usual_chances, usual_guessing, usually_reached
from phase3_core.rates import FinderRates, Mean, Rate
from phase3_core.record import Count, Group, Makeup, Record
from phase3_core.tiers import Tier

USUAL_DELIVERED_VALID = 0.85
COVERAGE_WEIGHT = 8.0  # trials: what an enricher covers of a market is hardly known beforehand
MAIL_ALIKE = 0.5  # how alike colleagues are (0 to 1): they share their mail server and its pattern
CONTACTS_ALIKE = 0.8  # a seller of contacts knows a company's people or none of them

Rates = Mapping[str, Rate | Mean]
Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Seller:
    """Whom a plan pays: its name and price."""

    name: str
    price: Price

    def cost(self, calls: float, hits: float) -> Money:
        """USD for so many calls, of which so many are hits."""
        if self.price.billing is Billing.FREE:
            return usd(0)
        paid = calls if self.price.billing is Billing.PER_CALL else hits
        return usd(self.price.per_credit * Decimal(f"{paid:.6f}"))

    def each(self, hit_rate: float) -> float:
        """USD expected for one call."""
        if self.price.billing is Billing.FREE:
            return 0.0
        return float(self.price.per_credit) * (1 if self.price.billing is Billing.PER_CALL else hit_rate)


@dataclass(frozen=True, slots=True)
class EnricherSeller(Seller):
    per_company: bool


@dataclass(frozen=True, slots=True)
class Way:
    """The finders whom a share of the leads asks, in order."""

    share: float
    finders: Sequence[Seller]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(seller.name for seller in self.finders)

    def untried(self, missed: Collection[str]) -> list[Seller]:
        return [seller for seller in self.finders if seller.name not in missed]


def find_rate(finder: str, missed: Collection[str]) -> str:
    """The name of the rate at which it names an address of leads that these brought nothing."""
    return " ".join(["find", finder, "after", *sorted(missed)])


def finder_of(rate: str) -> str:
    """A name that the rates of one finder have in common, whoever missed before; any other rate's own."""
    return rate.partition(" after ")[0]


@dataclass(frozen=True, slots=True)
class Model:
    """A campaign's leads, whom they are asked of in which order, and how likely each answer is.

    `before`: finders that were asked already and brought none of the leads an accepted address.
    """

    groups: Sequence[Group]
    ways: Sequence[Way]
    verifier: Seller
    second: Seller | None
    enrichers: Sequence[EnricherSeller]
    rates: Rates
    before: frozenset[str] = frozenset()

    @property
    def usual(self) -> Values:
        return {name: rate.mean for name, rate in self.rates.items()}

    @property
    def sellers(self) -> dict[str, Seller]:
        """By name, in the order of asking."""
        verifiers = [self.verifier, self.second] if self.second else [self.verifier]
        finders = [seller for way in self.ways for seller in way.finders]
        return {seller.name: seller for seller in (*finders, *verifiers, *self.enrichers)}


@dataclass(frozen=True, slots=True)
class Bench:
    """Who may be asked. `operations` of the enrichers as the ledger names them, `provider/operation`."""

    plan: Plan
    verifier: str
    second: str
    enrichers: Sequence[Source]
    operations: Mapping[str, Sequence[str]]
    caps: LeadCaps


def model_of(bench: Bench, groups: Sequence[Group], record: Record, before: Sequence[str] = ()) -> Model:
    """The campaign under the plan's order, each rate as the record leaves it."""
    plan, ways = bench.plan, ways_of(bench.plan, before)
    second = Seller(bench.second, plan.second) if plan.second_opinion and plan.second else None
    enrichers = [bench.enrichers[place] for place in in_order(bench.enrichers)]
    makeup = Makeup(groups)
    rates = dict(_address_rates(plan, record, makeup)) | dict(
        _finder_rates(plan, record, makeup, ways, before)
    )
    return Model(
        groups=groups,
        ways=ways,
        verifier=Seller(bench.verifier, plan.verifier),
        second=second,
        enrichers=[EnricherSeller(one.name, one.price, one.per_company) for one in enrichers],
        rates=rates | dict(_enrichment_rates(bench, record, makeup)),
        before=frozenset(before),
    )


def ways_of(plan: Plan, before: Sequence[str] = ()) -> list[Way]:
    """How the leads go that the plan deals out; all the same way where it deals out none."""
    most = max(0, plan.max_providers_per_lead - len(before))
    turns = [(share, plan.in_turn(before, start)[:most]) for start, share in plan.starts or [("", 1.0)]]
    return [Way(share, [Seller(quote.provider, quote.price) for quote in turn]) for share, turn in turns]


def _address_rates(plan: Plan, record: Record, makeup: Makeup) -> Iterator[tuple[str, Rate | Mean]]:
    """Of addresses that no finder named."""
    mail = makeup.alike(MAIL_ALIKE)
    delivered = Rate(USUAL_DELIVERED_VALID, alike=mail)
    yield "delivered", delivered.after(record.delivered.hits, record.delivered.trials)
    doubt = Rate(CATCH_ALL, alike=makeup.alike(1.0))
    yield "doubt delivered", doubt.after(record.doubted.hits, record.doubted.trials)
    for place, usual in usual_guessing(plan).items():
        guessed, guesses = record.guessed.get(place, Count()), record.guesses.get(place, Count())
        yield f"guess {place}", Rate(usual.reached, alike=mail).after(guessed.hits, guessed.trials)
        yield f"guesses {place}", Mean(usual.times, alike=mail).after(guesses.hits, guesses.trials)


def _finder_rates(
    plan: Plan, record: Record, makeup: Makeup, ways: Sequence[Way], before: Sequence[str]
) -> Iterator[tuple[str, Rate]]:
    """Of the leads whom guesses leave, all on catch-all domains among them.

    A finder is asked after any of the others: whose day is spent is passed over.
    """
    reached = usually_reached(makeup.groups, usual_guessing(plan))
    doubt = Rate(CATCH_ALL / (1 - reached), alike=makeup.alike(1.0))
    yield "doubt", doubt.after(record.doubted.hits, record.doubted.trials)
    finders = FinderRates(record.finders, FINDERS.beyond_guesses(reached))
    names = sorted({seller.name for way in ways for seller in way.finders})
    for name in names:
        yield f"accept {name}", finders.accept(name)
        for missed in _some_of([other for other in names if other != name]):
            yield find_rate(name, {*before, *missed}), finders.find(name, {*before, *missed})


def _some_of(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All ways to choose, none and all among them."""
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


def _enrichment_rates(bench: Bench, record: Record, makeup: Makeup) -> Iterator[tuple[str, Rate]]:
    usual = {tier: usual_chances(bench.caps.profile(tier), bench.enrichers) for tier in Tier}
    for source in bench.enrichers:
        asked = {tier: min(1.0, usual[tier].asked[source.name]) for tier in Tier}
        tiers = [tier for tier in Tier if asked[tier]]
        alike = 1.0 if source.per_company else makeup.alike(CONTACTS_ALIKE, tiers)
        bought = {tier: _bought(bench, record, tier, source) for tier in Tier}
        for tier in Tier:
            leads = (record.companies if source.per_company else record.enriched).get(tier, 0)
            rate = Rate(asked[tier], COVERAGE_WEIGHT, alike)
            yield f"ask {tier} {source.name}", rate.after(min(bought[tier].trials, leads), leads)
        mostly = max(Tier, key=lambda tier: asked[tier])
        known = Rate(usual[mostly].known[source.name], COVERAGE_WEIGHT, alike)
        counts = bought.values()
        hits, calls = sum(one.hits for one in counts), sum(one.trials for one in counts)
        yield f"know {source.name}", known.after(hits, calls)


def _bought(bench: Bench, record: Record, tier: Tier, source: Source) -> Count:
    names = bench.operations.get(source.name, ())
    counts = [record.bought[tier, name] for name in names if (tier, name) in record.bought]
    return Count(sum(one.hits for one in counts), sum(one.trials for one in counts))
