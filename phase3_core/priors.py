"""What is usual of guesses and of enrichers, where the ledger has nothing to show yet."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from phase3_core.calls import Facts, Miss
from phase3_core.domains import MOST_LEADERS
from phase3_core.enrichment import FIELDS_OF, Gathered, Source, after_reply, in_order, next_source
from phase3_core.market import ENRICHERS
from phase3_core.money import ZERO, Money
from phase3_core.patterns import GUESSED_BLINDLY, SEEN_BEFORE, worth_guessing
from phase3_core.plan import Plan
from phase3_core.record import LAST_PLACE, Group
from phase3_core.tiers import Profile, Topic

CATCH_ALL = 0.12  # leads on domains that take any address
HAS_A_MAILBOX = 0.91  # of the others: an address built from the name

ON_FILE = frozenset({Topic.WEBSITE, Topic.COMPANY, Topic.CONTACT, Topic.INTENT, Topic.TECH_STACK})
# The other topics are news; a company's own site may tell some, which is not counted on.


@dataclass(frozen=True, slots=True)
class Guessing:
    """Of leads in one place of their company: the share that a guess reaches, guesses for each of them."""

    reached: float
    times: float


def usual_guessing(plan: Plan) -> dict[int, Guessing]:
    """By place in the company; empty where no guess is worth its verification.

    A company's pattern is known sooner or later, so its later leads are guessed at once; on a catch-all
    domain the first guess is the last.
    """
    shares = _guessed_shares(plan)
    if not shares:
        return {}
    blind = HAS_A_MAILBOX * sum(shares)
    tries = sum(1 - HAS_A_MAILBOX * sum(shares[:number]) for number in range(len(shares)))
    usual = {}
    for place in range(1, LAST_PLACE + 1):
        unknown = (1 - blind) ** min(place - 1, MOST_LEADERS)
        reached = unknown * blind + (1 - unknown) * HAS_A_MAILBOX * SEEN_BEFORE
        times = unknown * tries + (1 - unknown)
        usual[place] = Guessing((1 - CATCH_ALL) * reached, (1 - CATCH_ALL) * times + CATCH_ALL * (place == 1))
    return usual


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


def usually_reached(groups: Iterable[Group], usual: Mapping[int, Guessing]) -> float:
    """The share of all leads that guesses reach."""
    leads = reached = 0.0
    for group in groups:
        leads += group.to_verify
        reached += group.to_verify * usual[group.place].reached if group.place in usual else 0.0
    return reached / leads if leads else 0.0


@dataclass
class Chances:
    """Of each source: P(asked), and P(it knows, if it is asked)."""

    asked: dict[str, float] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """What enrichment may have come to: fields told, USD spent, and who was asked in vain."""

    fields: frozenset[str] = frozenset()
    spent: Money = ZERO
    missed: frozenset[str] = frozenset()


States = Mapping[State, float]


def usual_chances(profile: Profile, sources: Sequence[Source]) -> Chances:
    """By the enrichment's own policy, where each source knows as often as is usual after so many misses.

    What is asked about people is asked of a company's later leads too, for whom the company's part is free.
    """
    chances = Chances()
    ordered = [sources[place] for place in in_order(sources)]
    states: States = {State(): 1.0}
    for source in (one for one in ordered if one.per_company):
        states = _asked(profile, source, ordered, states, chances)
    later: defaultdict[State, float] = defaultdict(float)
    for state, chance in states.items():
        later[State(state.fields, missed=state.missed)] += chance
    states = later
    for source in (one for one in ordered if not one.per_company):
        states = _asked(profile, source, ordered, states, chances)
    return chances


def _asked(
    profile: Profile, source: Source, sources: Sequence[Source], states: States, chances: Chances
) -> States:
    """The states after its turn."""
    rivals = {one.name for one in sources if _sells_alike(one, source)}
    asked = known = 0.0
    after: defaultdict[State, float] = defaultdict(float)
    for state, chance in states.items():
        gathered = Gathered(fields={name: {} for name in state.fields})
        if next_source(profile, [source], gathered, state.spent) is None:
            after[state] += chance
            continue
        knows = ENRICHERS.hit_rate(len(state.missed & rivals))
        asked, known = asked + chance, known + chance * knows
        for share, then in _answers(source, gathered, state, knows):
            after[then] += chance * share
    chances.asked[source.name] = asked
    chances.known[source.name] = known / asked if asked else ENRICHERS.hit_rate(0)
    return after


def _sells_alike(one: Source, other: Source) -> bool:
    """Whether a miss of one says something of the other: a company's own site is no file of a seller's."""
    return one.price.ceiling > ZERO and bool(one.topics & other.topics & ON_FILE)


def _answers(source: Source, gathered: Gathered, state: State, knows: float) -> Iterator[tuple[float, State]]:
    topics = source.topics if source.price.ceiling > ZERO else source.topics & ON_FILE
    told = Facts({name: True for topic in topics for name in FIELDS_OF[topic]})
    fields = frozenset(after_reply(gathered, source, told).fields)
    yield knows, State(fields, state.spent + source.price.charge(told), state.missed)
    in_vain = state.missed | {source.name}
    yield 1 - knows, State(state.fields, state.spent + source.price.charge(Miss()), in_vain)
