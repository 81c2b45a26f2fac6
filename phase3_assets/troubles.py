"""What speaks against vendors at this moment, from the books alone: whoever only looks loads no client."""

import os
from datetime import UTC, datetime

from phase3_assets.looking import look
from phase3_core.breaker import Breaker, Closed, HalfOpen, Open
from phase3_core.reconciliation import Reconciled
from resources.postgres.breakers import PostgresBreakers
from resources.postgres.database import PostgresBooks
from resources.postgres.readings import PostgresReadings
from resources.providers.line_up import chosen, in_order
from resources.settings import read_settings, settings_path


def cases(url: str) -> list[Reconciled]:
    """What the newest readings of balances leave for a person."""
    newest = look(url, lambda books: PostgresReadings(books.engine).newest())
    return [one for one in newest if one.is_case]


async def troubles(books: PostgresBooks) -> dict[str, str]:
    """Why not to count on a provider, by its name."""
    names = [row.name for row in chosen(in_order(read_settings(settings_path())), os.environ)]
    reading = await PostgresBreakers(books.engine).tell({}, names)
    tripped = {
        name: breaker_in_words(breaker)
        for name, breaker in sorted(reading.breakers.items())
        if not isinstance(breaker, Closed)
    }
    return tripped | dict.fromkeys(sorted(reading.out_of_credits), "out of credits")


def breaker_in_words(breaker: Breaker) -> str:
    match breaker:
        case Open(until, why):
            return f"open until {datetime.fromtimestamp(until, UTC):%H:%M} UTC: {why}"
        case HalfOpen(why):
            return f"half-open after: {why}"
        case Closed():
            return "closed"
