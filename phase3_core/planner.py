"""What a campaign is expected to ask, find and cost: leads alike flow through the waterfall as shares.

Everything that is not certain is a named rate. `flow` follows the leads for given values of the rates, so
that each rate can be moved to see what hangs on it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from phase3_core.calls import Billing, Facts, Miss, Price
from phase3_core.enrichment import FIELDS_OF, Gathered, Source, after_reply, in_order, next_source
from phase3_core.money import Money, usd
from phase3_core.patterns import GUESSED_BLINDLY, SEEN_BEFORE, worth_guessing
from phase3_core.policy import LeadCaps
from phase3_core.rates import FinderRates, Mean, Rate
from phase3_core.record import LAST_PLACE, Group, Record
from phase3_core.statuses import Agent
from phase3_core.tiers import Profile, Tier
from phase3_core.waterfall import MOST_LEADERS, Plan

USUAL_DELIVERED_VALID = 0.85
USUAL_DOUBT = 0.12  # candidates on catch-all domains
USUAL_KNOWN = 0.70  # of an enricher
COVERAGE_WEIGHT = 5.0  # trials: what an enricher covers of a market is hardly known beforehand
HAS_A_MAILBOX = 0.80  # leads who can be guessed at all: a mailbox, on no catch-all domain

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
        going.trials["doubt"] += candidates
        doubted = candidates * values["doubt"]
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
    return Model(
        groups=groups,
        ways=ways,
        verifier=Seller(bench.verifier, plan.verifier),
        second=second,
        enrichers=[EnricherSeller(one.name, one.price, one.per_company) for one in enrichers],
        rates=dict(_email_rates(plan, record, ways, before)) | dict(_enrichment_rates(bench, record)),
    )


def ways_of(plan: Plan, before: Sequence[str] = ()) -> list[Way]:
    """How the leads go that the plan deals out; all the same way where it deals out none."""
    most = max(0, plan.max_providers_per_lead - len(before))
    turns = [(share, plan.in_turn(before, start)[:most]) for start, share in plan.starts or [("", 1.0)]]
    return [Way(share, [Seller(quote.provider, quote.price) for quote in turn]) for share, turn in turns]


def _email_rates(
    plan: Plan, record: Record, ways: Sequence[Way], before: Sequence[str]
) -> Iterator[tuple[str, Rate | Mean]]:
    yield "delivered", Rate(USUAL_DELIVERED_VALID).after(record.delivered.hits, record.delivered.trials)
    yield "doubt", Rate(USUAL_DOUBT).after(record.doubted.hits, record.doubted.trials)
    yield from _guess_rates(plan, record)
    finders = FinderRates(record.finders)
    for way in ways:
        missed = list(before)
        for place, seller in enumerate(way.finders):
            yield way.find(place), finders.find(seller.name, missed)
            yield f"accept {seller.name}", finders.accept(seller.name)
            missed.append(seller.name)


def _guess_rates(plan: Plan, record: Record) -> Iterator[tuple[str, Rate | Mean]]:
    """A company's later leads know its pattern more often, so they are guessed at once."""
    shares = _guessed_shares(plan)
    if not shares:
        return
    blind, known = HAS_A_MAILBOX * sum(shares), HAS_A_MAILBOX * SEEN_BEFORE
    until = [1 - HAS_A_MAILBOX * sum(shares[:number]) for number in range(len(shares))]
    open_share = 1.0
    for place in range(1, LAST_PLACE + 1):
        unknown = open_share if place <= MOST_LEADERS else 0.0
        share = Rate(unknown * blind + (1 - open_share) * known)
        times = Mean(unknown * sum(until) + (1 - open_share))
        guessed, guesses = record.guessed.get(place), record.guesses.get(place)
        yield f"guess {place}", share.after(guessed.hits, guessed.trials) if guessed else share
        yield f"guesses {place}", times.after(guesses.hits, guesses.trials) if guesses else times
        open_share *= 1 - blind


def _guessed_shares(plan: Plan) -> list[float]:
    """Of the patterns that are worth a guess where nothing is known of the company's mail."""
    shares: list[float] = []
    if not plan.guessing or not plan.finders:
        return shares
    finder = plan.cost_per_valid
    for share in sorted(GUESSED_BLINDLY.values(), reverse=True):
        if not worth_guessing(share / (1 - sum(shares)), plan.verifier.ceiling, finder):
            break
        shares.append(share)
    return shares


def _enrichment_rates(bench: Bench, record: Record) -> Iterator[tuple[str, Rate | Mean]]:
    for source in bench.enrichers:
        counts = [
            record.bought[tier, name]
            for tier in Tier
            for name in bench.operations.get(source.name, ())
            if (tier, name) in record.bought
        ]
        hits, calls = sum(one.hits for one in counts), sum(one.trials for one in counts)
        yield f"know {source.name}", Rate(USUAL_KNOWN, COVERAGE_WEIGHT).after(hits, calls)
    for tier in Tier:
        yield from _asking_rates(bench, record, tier)


def _asking_rates(bench: Bench, record: Record, tier: Tier) -> Iterator[tuple[str, Rate | Mean]]:
    usual = chances_of_asking(bench.caps.profile(tier), bench.enrichers)
    for source in bench.enrichers:
        leads = (record.companies if source.per_company else record.enriched).get(tier, 0)
        names = bench.operations.get(source.name, ())
        bought = sum(record.bought[tier, name].trials for name in names if (tier, name) in record.bought)
        rate = Rate(min(1.0, usual[source.name]), COVERAGE_WEIGHT)
        yield f"ask {tier} {source.name}", rate.after(min(bought, leads), leads)


Known = tuple[frozenset[str], Money]


def chances_of_asking(profile: Profile, sources: Sequence[Source]) -> dict[str, float]:
    """P(asked) of each source by the enrichment's own policy, where each knows as often as is usual.

    What is asked about people is asked of a company's later leads too, for whom the company's part is free.
    """
    ordered = [sources[place] for place in in_order(sources)]
    of_companies = [source for source in ordered if source.per_company]
    start: dict[Known, float] = {(frozenset(), usd(0)): 1.0}
    chances, after = _walk(profile, of_companies, start)
    later: defaultdict[Known, float] = defaultdict(float)
    for (fields, _), chance in after.items():
        later[fields, usd(0)] += chance
    of_people, _ = _walk(profile, [one for one in ordered if not one.per_company], later)
    return chances | of_people


def _walk(
    profile: Profile, sources: Sequence[Source], states: Mapping[Known, float]
) -> tuple[dict[str, float], Mapping[Known, float]]:
    chances: dict[str, float] = {}
    for source in sources:
        chances[source.name] = 0.0
        after: defaultdict[Known, float] = defaultdict(float)
        for (fields, spent), chance in states.items():
            gathered = Gathered(fields={name: {} for name in fields})
            if next_source(profile, [source], gathered, spent) is None:
                after[fields, spent] += chance
                continue
            chances[source.name] += chance
            for share, known, cost in _answers(source, gathered):
                after[known, spent + cost] += chance * share
        states = after
    return chances, states


def _answers(source: Source, gathered: Gathered) -> Iterator[tuple[float, frozenset[str], Money]]:
    told = Facts({name: True for topic in source.topics for name in FIELDS_OF[topic]})
    known = after_reply(gathered, source, told)
    yield USUAL_KNOWN, frozenset(known.fields), source.price.charge(told)
    yield 1 - USUAL_KNOWN, frozenset(gathered.fields), source.price.charge(Miss())
