"""Every provider on one screen, in waterfall order: what it costs, what it allows, how sure we are."""

from dataclasses import dataclass
from datetime import date, timedelta

from phase3_core.calls import Billing, Price, ReplayClass
from phase3_core.money import ZERO, usd
from resources.providers.enrichers import apollo, builtwith, website
from resources.providers.finders import findymail, tomba
from resources.providers.gate import Limits
from resources.providers.spec import ProviderSpec
from resources.providers.verifiers import mailverify, reoon


@dataclass(frozen=True, slots=True)
class Terms:
    """What a vendor charges and allows. `source`: where it says so; `read_on`: when that was read.

    `confirmed` False: the wire protocol rests on guesses, so the provider needs an explicit opt-in.
    """

    price: Price
    limits: Limits
    replay: ReplayClass
    source: str
    read_on: date
    replay_window: timedelta | None = None
    confirmed: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    spec: ProviderSpec
    terms: Terms

    @property
    def name(self) -> str:
        return self.spec.name


READ_ON = date(2026, 11, 22)
MONTH = timedelta(days=30)


def _price(amount: str, billing: Billing) -> Price:
    return Price(usd(amount), billing)


FREE = Price(ZERO, Billing.FREE)
HIT, CALL = Billing.PER_HIT, Billing.PER_CALL

# Limits of the vendor's usual paid plan; settings override them for the plan that was bought.
CATALOGUE: tuple[Row, ...] = (
    Row(tomba.SPEC, Terms(_price("0.010000", HIT), Limits(per_minute=300), ReplayClass.FREE,
        "docs.tomba.io/rate-limits, /faqs", READ_ON, replay_window=MONTH,
        note="Growth plan, $49 for 5,000 searches; a repeat within 30 days is free")),
    Row(findymail.SPEC, Terms(_price("0.019800", HIT), Limits(in_flight=100), ReplayClass.ON_HIT,
        "app.findymail.com/docs; help article of 2023", READ_ON,
        note="Starter plan, $99 for 5,000; up to 300 in flight, whether a repeat is free is not documented")),
    Row(reoon.SPEC, Terms(_price("0.001190", CALL), Limits(in_flight=5), ReplayClass.PER_CALL,
        "reoon.com API article", READ_ON,
        note="$11.90 for 10,000 instant credits; single calls at most 5 in parallel")),
    Row(mailverify.SPEC, Terms(_price("0.003000", CALL), Limits(in_flight=5), ReplayClass.PER_CALL,
        "docs.mailverify.ai (shapes only)", READ_ON,
        note="price and limits are not published: set yours in the settings")),
    Row(website.SPEC, Terms(FREE, Limits(in_flight=20), ReplayClass.FREE,
        "our own fetch", READ_ON, note="one request a second per host, robots.txt respected")),
    Row(apollo.SPEC, Terms(_price("0.025000", HIT), Limits(per_minute=1000, in_flight=50), ReplayClass.ON_HIT,
        "docs.apollo.io/reference/rate-limits, /docs/api-pricing", READ_ON,
        note="one credit for an organization that is found")),
    Row(builtwith.SPEC, Terms(_price("0.049500", CALL), Limits(per_second=10, in_flight=8),
        ReplayClass.PER_CALL,
        "api.builtwith.com/domain-api; builtwith.com/plans", READ_ON,
        note="2,000 credits for $99; a miss is billed too")),
)  # fmt: skip


def row(name: str) -> Row:
    """Raises KeyError with the names that exist."""
    for candidate in CATALOGUE:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no provider {name!r}; there are {', '.join(r.name for r in CATALOGUE)}")
