"""Each provider's record from the ledger: how often it knew, how often that was right, how fast, how dear."""

from dataclasses import dataclass, replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.money import ZERO, Money, usd

SCORES = text("""
SELECT provider,
       count(*) AS calls,
       count(*) FILTER (WHERE state = 'settled' AND outcome NOT IN ('miss', 'error')) AS hits,
       count(*) FILTER (WHERE outcome = 'error' OR state = 'unknown') AS errors,
       count(*) FILTER (WHERE created_at >= date_trunc('day', now(), 'UTC')) AS today,
       coalesce(sum(cost_usd + unknown_usd), 0) AS cost,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY response_time_ms) AS p50_ms,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY response_time_ms) AS p95_ms
FROM provider_calls
WHERE created_at > now() - make_interval(days => :days)
GROUP BY provider
""")

VALID = text("""
SELECT email_provider AS provider, count(*) AS found,
       count(*) FILTER (WHERE CAST(email_status AS text) IN ('valid', 'risky')) AS accepted
FROM leads
WHERE email_verified_at > now() - make_interval(days => :days) AND email_provider IS NOT NULL
GROUP BY email_provider
""")


@dataclass(frozen=True, slots=True)
class Score:
    """One provider over the last days. Times in milliseconds; `valid` is None for who finds no addresses."""

    provider: str
    calls: int = 0
    hits: int = 0
    errors: int = 0
    today: int = 0
    cost: Money = ZERO
    p50_ms: int | None = None
    p95_ms: int | None = None
    found: int = 0
    accepted: int = 0

    @property
    def valid_rate(self) -> float | None:
        return round(self.accepted / self.found, 4) if self.found else None

    @property
    def error_rate(self) -> float:
        return round(self.errors / self.calls, 4) if self.calls else 0.0

    @property
    def cost_per_valid(self) -> Money | None:
        """USD of this provider's own calls for each address of its that was accepted."""
        return usd(self.cost / self.accepted) if self.accepted else None


async def scores(engine: AsyncEngine, days: int) -> dict[str, Score]:
    """By provider; those that were never asked in that time are left out."""
    async with engine.connect() as connection:
        valid = {row.provider: row for row in await connection.execute(VALID, {"days": days})}
        rows = (await connection.execute(SCORES, {"days": days})).mappings().all()
    asked = [Score(**row) for row in rows]
    return {
        score.provider: replace(score, found=row.found, accepted=row.accepted) if row else score
        for score in asked
        for row in [valid.get(score.provider)]
    }
