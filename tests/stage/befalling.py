"""What may befall a simulation: each step tells what it did, or nothing where it cannot be at this moment."""

import asyncio
from decimal import Decimal
from typing import Any

from phase3_core.budget import Caps
from phase3_core.money import usd
from sandbox.faults import EVERYBODY, Kind
from tests.stage.age import DAY_S
from tests.stage.killing import Edge
from tests.stage.simulated import HOUR_S, Befall, Simulation
from tests.stage.stage import made_by_name

AT_ONCE = 4
JUMPS_S = (HOUR_S, 12 * HOUR_S)
LEAPS_S = (8 * DAY_S, 31 * DAY_S)  # no run lasts so long
BY_ADDRESS = 0.7  # of suppressed people
SINGLE_SHARE = 0.7  # of faults that are one vendor's
FAULTS = [kind for kind in Kind if kind not in {Kind.HUGE_BODY, Kind.GZIP_BOMB}]
UNFINISHED = """
SELECT company_domain FROM leads
WHERE email_status IS NULL AND suppressed_at IS NULL AND campaign_id::text = ANY ('{{{}}}')
"""
HANG_UP = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def somebody_runs(play: Simulation) -> str:
    """Also of a campaign that is being worked on: one of the two ends at once."""
    if len(play.runs) >= AT_ONCE:
        return ""
    stage = play.rng.choice(play.stages)
    play.begin(stage)
    return f"campaign {play.stages.index(stage)}"


async def time_passes(play: Simulation) -> str:
    if not (play.runs or play.processes):
        return ""
    requests = play.rng.randint(1, 40)
    until = play.requests + requests
    await play.watch(lambda: play.requests >= until)
    return f"{requests} requests"


async def somebody_cancels(play: Simulation) -> str:
    if not play.runs:
        return ""
    steps = play.rng.randrange(300)
    for _ in range(steps):
        await asyncio.sleep(0)
    if play.runs:
        play.rng.choice(play.runs).cancel()
    return f"after {steps} steps"


async def a_process_dies(play: Simulation) -> str:
    stage, edge, at = play.rng.choice(play.stages), play.rng.choice(list(Edge)), play.rng.randint(1, 400)
    play.begin_to_die(stage, edge, at)
    return f"campaign {play.stages.index(stage)} at {edge} {at}"


async def a_vendor_misbehaves(play: Simulation) -> str:
    """Or all of them now and then."""
    vendor, often = (play.vendor(), 1.0) if play.rng.random() < SINGLE_SHARE else (EVERYBODY, 0.2)
    play.disturbed.add(vendor)
    kind, count = play.rng.choice(FAULTS).value, play.rng.choice([1, 2, 4, None])
    rule = {"vendor": vendor, "kind": kind, "count": count, "probability": often, "ms": 400.0}
    await play.stages[0].break_something(rule)
    return str(rule)


async def all_is_mended(play: Simulation) -> str:
    rules = play.sandbox.parts.faults.rules
    mended = len(rules)
    rules.clear()
    return f"{mended} faults" if mended else ""


async def the_clock_jumps(play: Simulation) -> str:
    seconds = play.rng.choice(JUMPS_S if play.runs or play.processes else JUMPS_S + LEAPS_S)
    await play.grow_old(seconds)
    return f"{seconds // HOUR_S} hours"


async def a_price_falls(play: Simulation) -> str:
    """At once, also for who is at work; our settings follow for the runs to come."""
    vendor = play.vendor()
    account = play.accounts[vendor]
    account.price = usd(account.price / 2)
    play.alter(prices={**play.stages[0].play.prices, vendor: account.price})
    return f"{vendor} {account.price}"


async def an_account_runs_dry(play: Simulation) -> str:
    vendor, balance = play.vendor(), play.rng.randrange(3)
    play.accounts[vendor].balance = Decimal(balance)
    play.disturbed.add(vendor)
    return f"{vendor} {balance}"


async def an_account_is_closed(play: Simulation) -> str:
    vendor = play.vendor()
    play.accounts[vendor].blocked = True
    play.disturbed.add(vendor)
    return vendor


async def accounts_are_refilled(play: Simulation) -> str:
    return " ".join(play.refill())


async def caps_are_raised(play: Simulation) -> str:
    """Where nobody is at work: the next agent of a run with the old ones would bring those back."""
    caps = play.stages[0].play.caps
    if caps is None or play.runs or play.processes:
        return ""
    play.alter(caps=Caps(_doubled(caps.agents), _doubled(caps.tiers), _doubled(caps.daily)))
    return "doubled"


def _doubled(caps: Any) -> Any:
    return {what: 2 * cap for what, cap in caps.items()}


async def somebody_is_suppressed(play: Simulation) -> str:
    """Of whom runs at work have more to ask: the company, or the address that anybody may guess."""
    until = play.requests + play.rng.randint(1, 6)
    await play.watch(lambda: play.requests >= until)
    unfinished = play.stages[0].query(UNFINISHED.format(",".join(map(str, play.at_work))))
    companies = {row["company_domain"] for row in unfinished}
    people = [person for person in play.people if person.company.domain in companies]
    if not people:
        return ""
    person = play.rng.choice(people)
    by_address = made_by_name(person) and play.rng.random() < BY_ADDRESS
    entry = person.email.lower() if by_address else person.company.domain
    await play.stages[0].suppress(entry)
    return entry


async def the_server_hangs_up(play: Simulation) -> str:
    """On everybody: who was at work goes on, unless another has taken its campaign."""
    play.hung_up = True
    return f"on {len(await asyncio.to_thread(play.stages[0].query, HANG_UP))} connections"


BEFALLS: dict[Befall, int] = {
    somebody_runs: 10,
    time_passes: 8,
    a_vendor_misbehaves: 6,
    somebody_cancels: 3,
    a_process_dies: 3,
    the_clock_jumps: 2,
    an_account_runs_dry: 1,
    an_account_is_closed: 1,
    accounts_are_refilled: 2,
    a_price_falls: 1,
    caps_are_raised: 1,
    all_is_mended: 2,
    somebody_is_suppressed: 5,
    the_server_hangs_up: 2,
}
