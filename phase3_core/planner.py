"""What a campaign is expected to ask, find and cost: leads alike flow through the waterfall as shares.

Everything that is not certain is a named rate. `flow` follows the leads for given values of the rates, so
that each rate can be moved to see what hangs on it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from phase3_core.calls import Billing, Price
from phase3_core.enrichment import Source, in_order
from phase3_core.market import FINDERS
from phase3_core.money import Money, usd
from phase3_core.plan import Plan
from phase3_core.policy import LeadCaps
from phase3_core.priors import CATCH_ALL, usual_chances, usual_guessing, usually_reached
from phase3_core.rates import FinderRates, Mean, Rate
from phase3_core.record import Count, Group, Makeup, Record
from phase3_core.statuses import Agent
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


@dataclass(frozen=True, slots=True)
class EnricherSeller(Seller):
    per_company: bool


@dataclass(frozen=True, slots=True)
class Way:
    """The finders whom a share of the leads asks, in order."""

    share: float
    finders: Sequence[Seller]

    def find(self, place: int) -> str:
        """The name of the rate at which the finder in this place names an address."""
        before = sorted(seller.name for seller in self.finders[:place])
        return " ".join(["find", self.finders[place].name, "after", *before])


@dataclass(frozen=True, slots=True)
class Model:
    """A campaign's leads, whom they are asked of in which order, and how likely each answer is."""

    groups: Sequence[Group]
    ways: Sequence[Way]
    verifier: Seller
    second: Seller | None
    enrichers: Sequence[EnricherSeller]
    rates: Rates

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
class Line:
    """One provider's part for one agent and one tier. `calls` and `hits` are expected, not whole numbers."""

    agent: Agent
    tier: Tier
    provider: str
    calls: float
    hits: float
    cost: Money


@dataclass
class Flow:
    """What is expected: calls and hits, accepted leads by tier, and how often each rate is tried."""

    asked: defaultdict[tuple[Agent, Tier, str], list[float]] = field(
        default_factory=lambda: defaultdict(lambda: [0.0, 0.0])
    )
    accepted: defaultdict[Tier, float] = field(default_factory=lambda: defaultdict(float))
    firsts: defaultdict[Tier, float] = field(default_factory=lambda: defaultdict(float))
    trials: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def ask(self, agent: Agent, tier: Tier, seller: Seller, calls: float, hits: float) -> None:
        counts = self.asked[agent, tier, seller.name]
        counts[0] += calls
        counts[1] += hits


def flow(model: Model, values: Values) -> Flow:
    """Follows every group of leads; `values` of all the model's rates."""
    going = Flow()
    for group in model.groups:
        _verify(model, values, group, going)
    for tier in sorted(going.accepted):
        _enrich(model, values, tier, going)
    return going


def lines(model: Model, going: Flow) -> list[Line]:
    """What is asked of whom, with its cost; nobody who is not asked."""
    sellers = model.sellers
    return [
        Line(agent, tier, name, calls, hits, sellers[name].cost(calls, hits))
        for (agent, tier, name), (calls, hits) in going.asked.items()
        if calls > 0
    ]


def _verify(model: Model, values: Values, group: Group, going: Flow) -> None:
    left = float(group.to_verify)
    if group.delivered:
        left -= _judged(model, values, group, going, left, "delivered")
    if group.place and f"guess {group.place}" in values:
        left -= _guessed(model, values, group, going, left)
    left = sum(_missed(model, values, group, going, left * way.share, way) for way in model.ways)
    accepted = group.to_verify - left
    going.accepted[group.tier] += accepted + group.to_enrich
    share = accepted / group.to_verify if group.to_verify else 0.0
    going.firsts[group.tier] += accepted * (1 - share) ** max(0, group.place - 1) + group.firsts


def _judged(model: Model, values: Values, group: Group, going: Flow, candidates: float, accept: str) -> float:
    """Candidates that verification accepts; some need the second verifier."""
    going.trials[accept] += candidates
    _ask_verifier(model, group, going, candidates)
    if model.second:
        doubt = "doubt delivered" if accept == "delivered" else "doubt"
        going.trials[doubt] += candidates
        doubted = candidates * values[doubt]
        going.ask(Agent.EMAIL_VERIFICATION, group.tier, model.second, doubted, doubted)
    return candidates * values[accept]


def _guessed(model: Model, values: Values, group: Group, going: Flow, left: float) -> float:
    share, guesses = f"guess {group.place}", f"guesses {group.place}"
    going.trials[share] += left
    going.trials[guesses] += left
    _ask_verifier(model, group, going, left * values[guesses])
    return left * values[share]


def _missed(model: Model, values: Values, group: Group, going: Flow, left: float, way: Way) -> float:
    """Leads of whom nobody on this way names an accepted address."""
    for place, seller in enumerate(way.finders):
        find = way.find(place)
        going.trials[find] += left
        hits = left * values[find]
        going.ask(Agent.EMAIL_VERIFICATION, group.tier, seller, left, hits)
        left -= _judged(model, values, group, going, hits, f"accept {seller.name}")
    return left


def _ask_verifier(model: Model, group: Group, going: Flow, addresses: float) -> None:
    going.ask(Agent.EMAIL_VERIFICATION, group.tier, model.verifier, addresses, addresses)


def _enrich(model: Model, values: Values, tier: Tier, going: Flow) -> None:
    for seller in model.enrichers:
        asked, known = f"ask {tier} {seller.name}", f"know {seller.name}"
        leads = going.firsts[tier] if seller.per_company else going.accepted[tier]
        calls = leads * values[asked]
        going.trials[asked] += leads
        going.trials[known] += calls
        going.ask(Agent.ENRICHMENT, tier, seller, calls, calls * values[known])


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
    """The campaign under the plan's order, each rate as the record leaves it.

    `before`: finders that were asked already and brought none of the leads an accepted address.
    """
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
    """Of the leads whom guesses leave, all on catch-all domains among them."""
    reached = usually_reached(makeup.groups, usual_guessing(plan))
    doubt = Rate(CATCH_ALL / (1 - reached), alike=makeup.alike(1.0))
    yield "doubt", doubt.after(record.doubted.hits, record.doubted.trials)
    finders = FinderRates(record.finders, FINDERS.beyond_guesses(reached))
    for way in ways:
        missed = list(before)
        for place, seller in enumerate(way.finders):
            yield way.find(place), finders.find(seller.name, missed)
            yield f"accept {seller.name}", finders.accept(seller.name)
            missed.append(seller.name)


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
