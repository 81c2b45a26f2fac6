"""Who may be asked, in which order and on whose terms: the catalogue under the settings and the environment.

Where one of several is chosen (`WEB_SEARCH_PROVIDER`), the others are not there at all: they lack nothing,
so they are not reported as skipped either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from phase3_core.calls import Role
from phase3_core.errors import BadInput
from phase3_core.money import Money, usd
from resources.providers.catalogue import CATALOGUE, Row, Terms
from resources.providers.gate import Limits
from resources.providers.spec import Choice, ProviderSpec
from resources.settings import Settings
from resources.settings_tables import ProviderSettings

OWN_LIMITS = {field.name for field in fields(Limits)}


def in_order(settings: Settings) -> list[Row]:
    """The catalogue with the finders in the configured order; raises BadInput for what cannot be meant."""
    names = {row.name for row in CATALOGUE} | {row.spec.env.lower() for row in CATALOGUE}
    for name in settings.providers:
        if name not in names:
            raise settings.mistake(
                "providers", name, told=f"no such provider; there are {', '.join(sorted(names))}"
            )
    order = settings.waterfall.listed
    if order is None:
        return list(CATALOGUE)
    finders = {row.name: row for row in CATALOGUE if row.spec.role is Role.FINDER}
    for place, name in enumerate(order):
        if why := _why_not_in_order(name, order[:place], finders, settings):
            raise settings.mistake("waterfall", "order", told=why)
    return [finders[name] for name in order] + [row for row in CATALOGUE if row.name not in finders]


def _why_not_in_order(
    name: str, before: Sequence[str], finders: Mapping[str, Row], settings: Settings
) -> str:
    """An order says whom to ask: one that is unknown, switched off or not opted in contradicts it."""
    if name not in finders:
        return f"{name} is no finder; there are {', '.join(finders)}"
    own = settings.provider(name)
    if name in before:
        return f"{name} stands in it twice"
    if not own.enabled:
        return f"{name} is switched off in providers.{name}"
    if not finders[name].terms.confirmed and not own.opt_in:
        return f"{name} is unconfirmed and needs opt_in = true in providers.{name}"
    return ""


def own_settings(settings: Settings, spec: ProviderSpec) -> ProviderSettings:
    """By the provider's name, else by that of its kind (`web_search`)."""
    return settings.providers.get(spec.name) or settings.provider(spec.env.lower())


def chosen(rows: Sequence[Row], environment: Mapping[str, str]) -> list[Row]:
    """Without those in whose place another one is used; raises BadInput for a choice that there is not."""
    choices = dict.fromkeys(row.spec.choice.variable for row in rows if row.spec.choice)
    picked = {variable: _picked(variable, rows, environment) for variable in choices}
    return [row for row in rows if row.spec.choice is None or row.spec.choice in picked.values()]


def _picked(variable: str, rows: Sequence[Row], environment: Mapping[str, str]) -> Choice:
    """The one named; where none is, the first one that has its key, else the first."""
    specs = [row.spec for row in rows if row.spec.choice and row.spec.choice.variable == variable]
    values = dict.fromkeys(spec.choice.value for spec in specs if spec.choice)
    wish = environment.get(variable, "").strip().lower()
    if wish and wish not in values:
        raise BadInput(f"{variable} is {wish!r}; there are {', '.join(values)}")
    keyed = (spec.choice for spec in specs if all(environment.get(name) for name in spec.secrets))
    return Choice(variable, wish) if wish else next(keyed, None) or Choice(variable, next(iter(values)))


def daily_caps(settings: Settings, environment: Mapping[str, str]) -> dict[str, Money]:
    """USD a provider may cost in a UTC day; raises BadInput for a cap under which nothing can be asked."""
    caps = {}
    for row in chosen(in_order(settings), environment):
        own = own_settings(settings, row.spec)
        worst = agreed(row.terms, own).price.ceiling
        if own.per_day_usd is None:
            continue
        if own.per_day_usd < worst:
            named = row.name if row.name in settings.providers else row.spec.env.lower()
            why = f"one call may cost {worst} USD, so nothing could ever be asked"
            raise settings.mistake("providers", named, "per_day_usd", told=why)
        caps[row.name] = usd(own.per_day_usd)
    return caps


def agreed(terms: Terms, own: ProviderSettings) -> Terms:
    """The catalogue's terms with what the user's own contract says instead."""
    limits = terms.limits
    given: dict[str, Any] = own.model_dump(include=OWN_LIMITS, exclude_none=True)
    price = terms.price
    if own.price_usd is not None:
        price = replace(price, per_credit=usd(own.price_usd))
    rates = ("per_second", "per_minute", "per_hour")
    cleared: dict[str, Any] = dict.fromkeys(rates) if given.keys() & set(rates) else {}
    return replace(terms, price=price, limits=replace(limits, **(cleared | given)))
