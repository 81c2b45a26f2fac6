"""Which calls the budgets admit: SQL for the ledger's own statements, which decide and write in one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from phase3_core.budget import Caps, Promises
from phase3_core.ledger import DIGEST_BYTES, EPOCH_BYTES, End, Intent, OverBudget
from phase3_core.money import ZERO, Money
from phase3_core.tiers import Tier
from resources.postgres.jsonb import json_text

RECHECK_S = 60.0  # how long a refusal for good is believed: a day ends, a cap is raised
FULL_S = 0.4  # how long any other is: one of many who wait for room finds out for all
TODAY = "(now() AT TIME ZONE 'UTC')::date"

# A question whose first answer is erased is known by its later ones. Ordered, so that an index finds them.
NEVER_ASKED = f"""
    (SELECT true FROM provider_calls AS c
     WHERE c.key BETWEEN q.key AND substr(q.key, 1, {DIGEST_BYTES}) || '\\x{"ff" * EPOCH_BYTES}'
     ORDER BY c.key DESC LIMIT 1) IS NULL
"""  # noqa: S608 - made of constants of the code; every value is bound

_MATCHES = """
    coalesce(b.campaign_id = {campaign}, b.campaign_id IS NULL)
    AND coalesce(b.agent = {agent}, b.agent IS NULL) AND coalesce(b.tier = {tier}, b.tier IS NULL)
    AND coalesce(b.provider = a.provider, b.provider IS NULL) AND coalesce(b.day = {day}, b.day IS NULL)
"""
_CONCERNS = _MATCHES.format(campaign="%(campaign_id)s", agent="%(agent)s", tier="a.tier", day="a.day")
_HELD_IT = _MATCHES.format(
    campaign="a.old_campaign_id", agent="a.old_agent", tier="a.old_tier", day="a.old_day"
)

_OF_THE_BATCH = f"""
    campaign_id = %(campaign_id)s AND coalesce(agent = %(agent)s, true)
    OR day = {TODAY} AND provider = ANY (%(provider)b::text[])
"""

# For who knows of no cap: whether somebody has set one meanwhile.
CAPPED = f"""
capped AS MATERIALIZED (SELECT FROM budgets WHERE {_OF_THE_BATCH} LIMIT 1)
"""
NOT_CAPPED = "NOT EXISTS (SELECT FROM capped)"

# Comes after a relation `asked` of calls, which `place` orders: what a call holds now (`held_usd`, in the
# budgets of the `old_` columns) and would hold then (`holds_usd`), what must be free beside it (`beside_usd`,
# the change of what is kept free; `keeps`), and whether a promise covers it. Tells in `refused` which budget
# has no room for a call, and whether that is for good; no budget at all: its day is not opened yet, or
# under a higher cap than this run's.
#
# A call that would not fit even alone takes no room from its batch. One that is covered may use what is kept
# free; every other leaves all that free.
WEIGHED = f"""
b AS MATERIALIZED (
    SELECT * FROM budgets WHERE {_OF_THE_BATCH}
    ORDER BY scope FOR UPDATE  -- every process locks in this order
), needed AS MATERIALIZED (
    SELECT a.key, a.place, a.covered, b.scope,
           more.usd + CASE WHEN b.day IS NULL THEN a.beside_usd ELSE 0 END AS need,
           b.spent_usd + more.usd + CASE WHEN b.day IS NULL THEN a.keeps ELSE 0 END > b.cap_usd AS for_good,
           b.cap_usd - b.spent_usd - b.reserved_usd - CASE
               WHEN a.covered OR b.day IS NOT NULL THEN 0
               ELSE coalesce((%(promised)s::jsonb ->> coalesce(b.tier, ''))::numeric, 0) END AS room
    FROM asked AS a JOIN b ON {_CONCERNS}
    CROSS JOIN LATERAL (
        SELECT a.holds_usd - CASE WHEN {_HELD_IT} THEN a.held_usd ELSE 0 END AS usd) AS more
), alone AS (
    SELECT *, bool_or(need > 0 AND need > room) OVER (PARTITION BY key) AS too_much
    FROM needed
), together AS (
    SELECT *, sum(CASE WHEN too_much THEN 0 ELSE greatest(need, 0) END)
              OVER (PARTITION BY scope ORDER BY covered DESC, place) AS needed_by_all
    FROM alone
), refused AS MATERIALIZED (
    SELECT DISTINCT ON (key) key, scope, for_good FROM (
        SELECT key, scope, for_good FROM together
        WHERE need > 0 AND (CASE WHEN too_much THEN need ELSE needed_by_all END) > room
        UNION ALL
        SELECT a.key, NULL, NULL FROM asked AS a
        JOIN jsonb_each_text(%(daily)s::jsonb) AS own(provider, cap_usd) ON own.provider = a.provider
        WHERE a.day = {TODAY} AND NOT EXISTS (
            SELECT FROM b WHERE b.provider = a.provider AND b.cap_usd <= own.cap_usd::numeric)
    ) AS refusals ORDER BY key, scope NULLS FIRST, for_good DESC
)
"""  # noqa: S608 - made of constants of the code; every value is bound

# Comes first: the calls whose subjects are on the suppression list. A subquery of its own for each call, so
# that an index answers it however little the planner knows of the list.
BARRED = """
barred AS MATERIALIZED (
    SELECT q.key FROM unnest(%(key)b::bytea[], %(subjects)b::text[]) AS q(key, subjects)
    WHERE (SELECT true FROM suppressed_subjects AS listed
           WHERE listed.subject = ANY (string_to_array(q.subjects, E'\\n')) LIMIT 1)
)
"""
NOT_BARRED = "q.key NOT IN (SELECT key FROM barred)"

# Comes last: what was written, and what was not, with the reason.
WRITTEN = """
SELECT key, false AS barred, false AS refused, NULL AS scope, NULL::bool AS for_good FROM {written}
UNION ALL SELECT key, true, false, NULL, NULL FROM barred
"""
ADMITTED = f"""
{WRITTEN}
UNION ALL SELECT key, false, true, scope, for_good FROM refused
"""  # noqa: S608 - made of constants of the code; every value is bound


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of one call. Without a scope: this run must know of a first cap, or open a provider's day, first."""

    scope: str | None
    for_good: bool | None


@dataclass
class Admissions:
    """What one run knows of its budgets besides the database: promises, and what was refused for good."""

    caps: Caps
    promises: Promises = field(default_factory=Promises)
    needed: bool = field(init=False)  # some budget holds for this run's calls, or did

    def __post_init__(self) -> None:
        self.needed = bool(self.caps.agents or self.caps.tiers or self.caps.daily)
        self._spent_up: dict[tuple[str, Tier | None], tuple[Money, OverBudget, float]] = {}
        self._stopped: OverBudget | None = None

    # --- values of a statement

    def columns(self, intents: Sequence[Intent]) -> dict[str, Any]:
        promised = {tier or "": str(usd) for tier, usd in self.promises.by_tier.items() if tier}
        promised[""] = str(sum(self.promises.by_tier.values(), ZERO))
        return {
            "keeps": [intent.keeps for intent in intents],
            "covered": [self.covers(intent) for intent in intents],
            "beside_usd": [self._beside(intent) for intent in intents],
            "promised": json_text(promised),
            "daily": json_text({provider: str(cap) for provider, cap in self.caps.daily.items()}),
        }

    def covers(self, intent: Intent) -> bool:
        """A verification that money is kept free for."""
        return not intent.keeps and ZERO < intent.reserved <= self.promises.of(intent.lead_id)

    def _beside(self, intent: Intent) -> Money:
        if self.covers(intent):
            return ZERO
        return intent.keeps - self.promises.of(intent.lead_id)

    # --- what becomes of a call

    def asks(self, intent: Intent) -> None:
        """Who asks a finder again has done with the address found before."""
        if intent.keeps:
            self.promises.drop(intent.lead_id)

    def found(self, intent: Intent) -> None:
        """Granted, or bought earlier: the address that it may bring will be verified."""
        if intent.keeps:
            self.promises.keep(intent.lead_id, intent.tier, intent.keeps)

    def ended(self, intent: Intent, end: End) -> None:
        if not self.promises:
            return
        if intent.keeps and end is not End.HIT:
            self.promises.drop(intent.lead_id)
        elif not intent.keeps and end not in {End.REFUSED, End.NOT_SENT}:
            self.promises.use(intent.lead_id, intent.reserved)

    # --- refusals

    def over(self, intent: Intent, refusal: Refusal, *, in_flight: bool) -> OverBudget:
        """For good too where nothing is in flight that could give room back."""
        returning = in_flight or (bool(self.promises) and not self.covers(intent))
        over = OverBudget(refusal.scope or "", bool(refusal.for_good) or not returning)
        if not self.covers(intent):
            worst = intent.reserved + intent.keeps
            self._spent_up[intent.provider, intent.tier] = (worst, over, _now())
        return over

    def stop(self, scope: str) -> None:
        """The first reason stands."""
        self._stopped = self._stopped or OverBudget(scope, for_good=True)

    def stopped(self, intent: Intent) -> OverBudget | None:
        free = not intent.reserved + intent.keeps
        return None if free or self.covers(intent) else self._stopped

    def spent_up(self, intent: Intent) -> OverBudget | None:
        """Who is refused from memory has done with what is promised as well: others may wait for that."""
        self.asks(intent)
        if stopped := self.stopped(intent):
            return stopped
        worst, over, at = self._spent_up.get((intent.provider, intent.tier), (ZERO, None, 0.0))
        if over is None or intent.reserved + intent.keeps < worst or self.covers(intent):
            return None
        return over if _now() - at < (RECHECK_S if over.for_good else FULL_S) else None


def _now() -> float:
    return asyncio.get_running_loop().time()
