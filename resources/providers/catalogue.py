"""Every provider on one screen, in waterfall order: what it costs, what it allows, how sure we are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from phase3_core.calls import Billing, Price, ReplayClass
from phase3_core.money import ZERO, usd
from resources.providers.enrichers import (
    apollo,
    apollo_people,
    brave,
    builtwith,
    claude,
    clearbit,
    people_data_labs,
    serper,
    tavily,
    website,
    zoominfo_company,
    zoominfo_contact,
    zoominfo_intent,
    zoominfo_legacy,
)
from resources.providers.finders import (
    anymailfinder,
    findymail,
    icypeas,
    muraena,
    nimbler,
    tomba,
    voila_norbert,
)
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


def _rows(specs: Iterable[ProviderSpec], terms: Terms) -> tuple[Row, ...]:
    """One vendor's questions under the same terms: they are counted together."""
    return tuple(Row(spec, terms) for spec in specs)


FREE = Price(ZERO, Billing.FREE)
HIT, CALL, CREDIT = Billing.PER_HIT, Billing.PER_CALL, Billing.PER_CREDIT

# Limits of the vendor's usual paid plan; settings override them for the plan that was bought.
CATALOGUE: tuple[Row, ...] = (
    Row(tomba.SPEC, Terms(_price("0.010000", HIT), Limits(per_minute=300), ReplayClass.FREE,
        "docs.tomba.io/rate-limits, /faqs", READ_ON, replay_window=MONTH,
        note="Growth plan, $49 for 5,000 searches; a repeat within 30 days is free")),
    Row(muraena.SPEC, Terms(_price("0.015000", CREDIT), Limits(per_minute=60), ReplayClass.ON_HIT,
        "one integration's code; the vendor's reference could not be read", READ_ON, confirmed=False,
        note="Business plan, $149 for 10,000 reveals; a credit for each profile shown, limits are our own")),
    Row(voila_norbert.SPEC, Terms(_price("0.049000", HIT), Limits(per_minute=120, in_flight=1000),
        ReplayClass.FREE, "api.voilanorbert.com/2018-01-08", READ_ON,
        note="$49 for 1,000, unconfirmed; a repeat is free while the contact exists; readings count too")),
    Row(nimbler.SPEC, Terms(_price("0.100000", CREDIT), Limits(per_minute=60), ReplayClass.ON_HIT,
        "SwaggerHub NYMBLR/NymblrDataAPIv1, by way of two clients", READ_ON, confirmed=False,
        note="a record guessed by clients at $0.08 to $0.20, with an address or not; limits are our own")),
    Row(icypeas.SPEC, Terms(_price("0.009000", CREDIT),
        Limits(per_second=10, reads_per_minute=30, in_flight=1000), ReplayClass.JOB,
        "api-doc.icypeas.com", READ_ON,
        note="price by one marketplace; 30 readings a minute in all, each of one search or of 100 in bulk")),
    Row(anymailfinder.SPEC, Terms(_price("0.030000", CREDIT), Limits(in_flight=15), ReplayClass.FREE,
        "anymailfinder.com/email-finder-api/docs", READ_ON, replay_window=MONTH,
        note="$149 for 5,000; the answer tells what it cost, a repeat within 30 days is free")),
    Row(findymail.SPEC, Terms(_price("0.019800", HIT), Limits(in_flight=100), ReplayClass.ON_HIT,
        "app.findymail.com/docs; help article of 2023", READ_ON,
        note="Starter plan, $99 for 5,000; up to 300 in flight, whether a repeat is free is not documented")),
    Row(reoon.SPEC, Terms(_price("0.001190", CALL), Limits(in_flight=5), ReplayClass.PER_CALL,
        "reoon.com API article", READ_ON,
        note="$11.90 for 10,000 instant credits; single calls at most 5 in parallel")),
    Row(mailverify.SPEC, Terms(_price("0.003000", CALL), Limits(in_flight=5), ReplayClass.PER_CALL,
        "docs.mailverify.ai (shapes only)", READ_ON,
        note="price and limits are not published: set yours in the settings")),
    # More than the fetcher has on the network at once: a site rests for a second between two requests.
    Row(website.SPEC, Terms(FREE, Limits(in_flight=60), ReplayClass.FREE,
        "our own fetch", READ_ON, note="one request a second per host, robots.txt respected")),
    # One of the four is used: the one that WEB_SEARCH_PROVIDER names, else the first.
    *_rows(brave.SPECS, Terms(_price("0.005000", CALL), Limits(per_second=50), ReplayClass.PER_CALL,
        "api-dashboard.search.brave.com/documentation", READ_ON,
        note="$5 for 1,000 searches; empty answers are billed, failures are not")),
    *_rows(claude.SPECS, Terms(_price("0.010000", CREDIT), Limits(per_minute=50), ReplayClass.PER_CALL,
        "docs.claude.com: web search tool, pricing, rate limits", READ_ON,
        note="for a search as the answer counts them; tokens come on top and are not in the ledger: about "
        "2,500 for a page of results")),
    *_rows(serper.SPECS, Terms(_price("0.001000", CREDIT), Limits(per_second=20), ReplayClass.PER_CALL,
        "serper.dev", READ_ON, note="$50 for 50,000 searches; limits are our own")),
    *_rows(tavily.SPECS, Terms(_price("0.008000", CREDIT), Limits(per_minute=1000), ReplayClass.PER_CALL,
        "docs.tavily.com: api-credits, rate-limits", READ_ON,
        note="pay as you go, a credit for a basic search; a development key allows 100 a minute")),
    Row(clearbit.SPEC, Terms(_price("0.050000", HIT), Limits(per_minute=600), ReplayClass.ON_HIT,
        "help.clearbit.com", READ_ON,
        note="for keys of 2023 and before; by contract, no price is published: set yours in the settings")),
    Row(apollo.SPEC, Terms(_price("0.025000", HIT), Limits(per_minute=1000, in_flight=50), ReplayClass.ON_HIT,
        "docs.apollo.io/reference/rate-limits, /docs/api-pricing", READ_ON,
        note="one credit for an organization that is found")),
    Row(people_data_labs.SPEC, Terms(_price("0.100000", CREDIT), Limits(per_minute=1000), ReplayClass.ON_HIT,
        "docs.peopledatalabs.com: usage-limits, create-an-account", READ_ON,
        note="company plan, $100 for a reported 1,000 records; the answer tells what it cost")),
    Row(apollo_people.SPEC, Terms(_price("0.025000", HIT), Limits(per_minute=1000, in_flight=50),
        ReplayClass.ON_HIT,
        "docs.apollo.io/reference/people-enrichment, /docs/api-pricing", READ_ON,
        note="one credit for a person who is found; phone numbers, eight more, are never asked for")),
    Row(builtwith.SPEC, Terms(_price("0.049500", CALL), Limits(per_second=10, in_flight=8),
        ReplayClass.PER_CALL,
        "api.builtwith.com/domain-api; builtwith.com/plans", READ_ON,
        note="2,000 credits for $99; a miss is billed too")),
    # Last, so that within a full profile's cap everything else can be asked once before the dearest repeats.
    *_rows((zoominfo_intent.SPEC, zoominfo_company.SPEC, zoominfo_contact.SPEC, *zoominfo_legacy.SPECS),
        Terms(_price("0.150000", HIT), Limits(per_second=5, per_hour=10_800, per_day=129_600),
        ReplayClass.FREE,
        "docs.zoominfo.com: rate-limits, api-conventions", READ_ON, replay_window=MONTH,
        note="Builder package; no price is published: set yours in the settings; a record under contract is "
        "free again; ZOOMINFO_API=legacy for the old API")),
)  # fmt: skip


def row(name: str) -> Row:
    """Raises KeyError with the names that exist."""
    for candidate in CATALOGUE:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no provider {name!r}; there are {', '.join(r.name for r in CATALOGUE)}")
