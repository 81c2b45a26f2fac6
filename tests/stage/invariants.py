"""The promises as an outsider checks them, from the vendors' bill and the database: each says what is broken.

`ALWAYS` holds at any moment, also while runs are at work; `AT_REST` when they have ended.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from phase3_core.calls import MOST_LOSSES, ReplayClass
from phase3_core.ledger import DIGEST_BYTES
from phase3_core.money import ZERO
from phase3_core.statuses import ACCEPTED
from resources.providers.catalogue import CATALOGUE, Row
from sandbox.world import World
from tests.stage.evidence import Evidence, Rows, evidence, words_of
from tests.stage.stage import WEEK_S, Stage, made_by_name, times_billed

Check = Callable[[Evidence], Iterator[str]]

CAPPED_BY = ("campaign_id", "agent", "tier", "provider", "day")
# What is asked of a vendor beside questions: keys, what is left, the results of what was submitted.
ASIDE = {
    *("authenticate", "token"),
    *("account", "balance", "credits", "credits_left", "me", "profile", "usage", "whoami"),
    *("bulk_read", "contact", "files", "read", "reveal"),
}
SECOND_VERIFIER = "mailverify"
GOOD = {"reoon": "safe", SECOND_VERIFIER: "DELIVERABLE"}  # in the words of each


def terms_of(vendor: str) -> Row:
    """What holds for all questions of a vendor."""
    return next(row for row in CATALOGUE if row.name == vendor)


def may_bill_twice(vendor: str) -> bool:
    """Where a lost call is asked once more for whatever that costs."""
    return terms_of(vendor).terms.replay in {ReplayClass.ON_HIT, ReplayClass.JOB}


def _booked(calls: Rows) -> Decimal:
    """USD, what is not known and what is in flight at worst."""
    in_flight = sum((call["reserved_usd"] for call in calls if call["state"] == "intent"), ZERO)
    return sum((call["cost_usd"] + call["unknown_usd"] for call in calls), in_flight)


def _epoch(call: Mapping[str, Any]) -> int:
    return int.from_bytes(call["key"][DIGEST_BYTES:], "big")


# --- at any moment


def the_ledger_covers_the_bill(found: Evidence) -> Iterator[str]:
    """I1, first half."""
    for vendor, billed in found.billed().items():
        if (booked := _booked(found.of(vendor))) < billed:
            yield f"{vendor} billed {billed}, the ledger shows {booked}"


def no_question_is_billed_too_often(found: Evidence) -> Iterator[str]:
    """I2: once, and where a repeat may cost, once more for a call that was made again."""
    for (vendor, operation, question), times in times_billed(found.charges).items():
        if times > 1 and times > (most := _most_bills(found, vendor, question)):
            yield f"{vendor} {operation} {question} was billed {times} times instead of {most}"


def _most_bills(found: Evidence, vendor: str, question: str) -> int:
    """An answer that has gone stale is a new question: each epoch of a vendor's calls allows as much."""
    if may_bill_twice(vendor):
        return sum(min(call["attempt"], MOST_LOSSES) for call in found.about(vendor, question))
    return max(map(_epoch, found.of(vendor)), default=0) + 1


def no_call_is_repeated_too_often(found: Evidence) -> Iterator[str]:
    """I2 for repeats that cost nothing. Reading the result of a job again is no repeat."""
    for call in found.calls:
        most = 1 if terms_of(call["provider"]).terms.replay is ReplayClass.PER_CALL else MOST_LOSSES
        if call["losses"] > most and call["job_id"] is None:
            yield f"{call['provider']} {call['request']} was lost {call['losses']} times"


def budgets_are_the_sum_of_their_calls(found: Evidence) -> Iterator[str]:
    """I3, the books."""
    for budget in found.budgets:
        named = {name: budget[name] for name in CAPPED_BY if budget[name] is not None}
        calls = [call for call in found.calls if all(call[name] == named[name] for name in named)]
        if budget["spent_usd"] + budget["reserved_usd"] != (booked := _booked(calls)):
            yield f"budget {budget['scope']} shows another sum than its calls: {booked}"


def spend_is_the_sum_of_its_calls(found: Evidence) -> Iterator[str]:
    """I3, the books that are kept by provider."""
    for provider in {row["provider"] for row in (*found.calls, *found.spend)}:
        kept = [row for row in found.spend if row["provider"] == provider]
        for amount in ("cost_usd", "unknown_usd"):
            if sum(row[amount] for row in kept) != sum(call[amount] for call in found.of(provider)):
                yield f"{amount} of {provider} is kept as another sum than its calls come to"


def no_budget_is_overdrawn(found: Evidence) -> Iterator[str]:
    """I3, the cap."""
    for budget in found.budgets:
        if budget["spent_usd"] + budget["reserved_usd"] > budget["cap_usd"]:
            yield f"budget {budget['scope']}: {budget['spent_usd']} and {budget['reserved_usd']} reserved"


def nothing_is_asked_without_a_row(found: Evidence) -> Iterator[str]:
    """I5: each request with a question belongs to an attempt, and each attempt reserved its worst price."""
    asked: Counter[str] = Counter()
    for (vendor, operation, _), number in found.asked.items():
        asked[vendor] += number if operation not in ASIDE else 0
    for vendor, number in asked.items():
        if number > (attempts := sum(call["attempt"] for call in found.of(vendor))):
            yield f"{vendor} was asked {number} times, the ledger knows of {attempts}"
    for call in found.calls:
        if terms_of(call["provider"]).terms.price.ceiling and not call["reserved_usd"]:
            yield f"{call['provider']} {call['request']} reserved nothing"


def accepted_addresses_are_verified(found: Evidence) -> Iterator[str]:
    """I6: a good word of a verifier, fresh when it was used; on a catch-all domain of the second one."""
    answers = _good_words(found)
    for lead in found.leads:
        if lead["email_status"] not in ACCEPTED or lead["erased_at"] is not None:
            continue
        email, catch_all = lead["email"], found.world.catch_all(lead["email"])
        proof = [one for one in answers[email] if _fresh(one, lead)]
        if not any(one["provider"] == SECOND_VERIFIER or not catch_all for one in proof):
            yield f"{email} counts as {lead['email_status']} without a fresh verification"


def _good_words(found: Evidence) -> dict[str, list[Mapping[str, Any]]]:
    """As the verifiers wrote them, not as we read them."""
    answers: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for call in found.calls:
        if call["state"] == "settled" and call["verdict"] == GOOD.get(call["provider"], ""):
            answers[_address(call["request"])].append(call)
    return answers


def _address(request: Mapping[str, Any]) -> str:
    return str((request.get("query") or {}).get("email") or (request.get("body") or {}).get("email"))


def _fresh(call: Mapping[str, Any], lead: Mapping[str, Any]) -> bool:
    return bool((lead["email_verified_at"] - call["settled_at"]).total_seconds() <= WEEK_S)


def nobody_suppressed_is_asked_about(found: Evidence) -> Iterator[str]:
    """I7: from then on no request names an entry of the list, and none is for a lead that one means."""
    silent = {lead["id"]: since for lead in found.leads if (since := _silent_since(found, lead))}
    for call in found.calls:
        asked = words_of(call)
        later = [entry["name"] for entry in found.listed if entry["created_at"] < call["asked_at"]]
        if named := [name for name in later if _names(asked, name)]:
            yield f"{call['provider']} was asked about {named}: {call['request']}"
        elif call["lead_id"] in silent and silent[call["lead_id"]] < call["asked_at"]:
            yield f"{call['provider']} was asked for a lead that is suppressed: {call['request']}"


def _silent_since(found: Evidence, lead: Mapping[str, Any]) -> datetime | None:
    """When it was set aside, or before that the list came to mean it."""
    means = _listed_as(found.world, lead) if found.listed and lead["erased_at"] is None else set()
    times = [entry["created_at"] for entry in found.listed if entry["name"] in means]
    return min(filter(None, [*times, lead["suppressed_at"]]), default=None)


def _listed_as(world: World, lead: Mapping[str, Any]) -> set[str]:
    """Its company and, where nobody need tell it, the address that is its own in truth."""
    domain = lead["company_domain"]
    person = world.person(f"{lead['first_name']} {lead['last_name']}".strip(), domain)
    return {domain, person.email.lower()} if person and made_by_name(person) else {domain}


def _names(asked: str, name: str) -> bool:
    return name in asked and bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-]|\.\w)", asked))


# --- when no run is at work


def nothing_is_left_in_flight(found: Evidence) -> Iterator[str]:
    """I4."""
    for call in found.calls:
        if call["state"] == "intent":
            yield f"{call['provider']} {call['request']} is still in flight"


def the_ledger_is_the_bill(found: Evidence) -> Iterator[str]:
    """I1, second half: every vendor has billed what is settled, and beside it at most what is in doubt.

    More is booked where a price has fallen, and where a stale answer was renewed that the vendor gives twice.
    """
    bill = found.billed()
    for vendor in {call["provider"] for call in found.calls} - _repriced(found) - _renewed(found):
        calls, billed = found.of(vendor), bill.get(vendor, ZERO)
        settled = sum((call["cost_usd"] for call in calls), ZERO)
        doubt = sum((call["unknown_usd"] for call in calls), ZERO)
        if not settled <= billed <= settled + doubt:
            yield f"{vendor} billed {billed}, the ledger shows {settled} and {doubt} in doubt"


def _repriced(found: Evidence) -> set[str]:
    usual = {row.name: row.terms.price.per_credit for row in CATALOGUE}
    return {one.vendor for one in found.charges if one.amount_usd != usual[one.vendor] * one.credits}


def _renewed(found: Evidence) -> set[str]:
    """A free repeat may be refused by then, so it is booked at its price."""
    renewed = {call["provider"] for call in found.calls if _epoch(call)}
    return {name for name in renewed if terms_of(name).terms.replay is ReplayClass.FREE}


# --- of a campaign's report


async def sums_that_differ(stage: Stage) -> list[str]:
    """I9: ledger, providers, agents and tiers come to the same, to the last micro-dollar."""
    own = [call for call in evidence(stage).calls if call["campaign_id"] == stage.play.campaign_id]
    return differing(await stage.report(), _booked(own))


def differing(report: Mapping[str, Any], booked: Decimal) -> list[str]:
    agents, no_lead = report["costs"], Decimal(report["cost_of_no_lead_usd"])
    sums = {
        "the ledger": booked,
        "providers": _sum(report["providers"], "total_usd"),
        "agents": Decimal(agents["email_verification"]) + Decimal(agents["enrichment"]),
        "tiers": _sum(report["tiers"], "cost_usd") + no_lead,
    }
    total = Decimal(agents["total"])
    return [f"{name} come to {usd}, all to {total}" for name, usd in sums.items() if usd != total]


def _sum(rows: Rows, name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), ZERO)


async def not_free_again(stage: Stage) -> list[str]:
    """I8: another run of a campaign that is done asks nobody anything, and its report is the same."""
    bill, before = stage.sandbox.parts.bill, await stage.report()
    asked = dict(bill.asked)
    told = [] if not (why := (await stage.perform()).why_not) else [f"it would not run again: {why}"]
    if bill.asked != asked:
        told.append(f"it asked again: {dict(bill.asked - Counter(asked))}")
    if (await stage.report())["report_hash"] != before["report_hash"]:
        told.append("its report is another one")
    return told


ALWAYS: Sequence[Check] = (
    the_ledger_covers_the_bill,
    no_question_is_billed_too_often,
    no_call_is_repeated_too_often,
    budgets_are_the_sum_of_their_calls,
    spend_is_the_sum_of_its_calls,
    no_budget_is_overdrawn,
    nothing_is_asked_without_a_row,
    accepted_addresses_are_verified,
    nobody_suppressed_is_asked_about,
)
AT_REST: Sequence[Check] = (*ALWAYS, nothing_is_left_in_flight, the_ledger_is_the_bill)


def broken(stage: Stage, checks: Sequence[Check] = AT_REST) -> list[str]:
    found = evidence(stage)
    return [f"{check.__name__}: {what}" for check in checks for what in check(found)]
