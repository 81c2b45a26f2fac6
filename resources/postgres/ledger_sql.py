"""The statements of the call ledger: each decides and writes in one, for a whole batch of calls."""

from resources.postgres.admission import (
    ADMITTED,
    BARRED,
    CAPPED,
    NEVER_ASKED,
    NOT_BARRED,
    NOT_CAPPED,
    TODAY,
    WEIGHED,
    WRITTEN,
)
from resources.postgres.erasing import UNLINKED

# A run that lost its campaign is granted nothing more; who takes the campaign waits for this statement.
# Without a fence: whoever works on no campaign.
HELD = """
(%(fence)s::bigint IS NULL OR EXISTS (
    SELECT FROM campaign_leases WHERE campaign_id = %(campaign_id)s AND fence = %(fence)s FOR SHARE
))
"""

_INSERT = """
INSERT INTO provider_calls (key, provider, operation, request, state, reserved_usd, lead_id, tier, day,
                            campaign_id, agent, run_id, grant_id, created_at, asked_at, lost_after)
SELECT q.key, q.provider, q.operation, q.request::jsonb, 'intent', q.reserved, q.lead_id, q.tier, {today},
       %(campaign_id)s, %(agent)s, %(run_id)s, %(grant_id)b,
       now(), now(), now() + make_interval(secs => q.deadline_s)
FROM {asked}
WHERE {admitted} AND {held}
ORDER BY q.key  -- two processes with the same questions wait for one another in one order
ON CONFLICT (key) DO NOTHING
RETURNING key
"""

_ASKED = """
     unnest(%(key)b::bytea[], %(provider)b::text[], %(operation)b::text[], %(request)b::text[],
            %(reserved)b::numeric[], %(lead_id)b::uuid[], %(deadline_s)b::float8[], %(tier)b::text[])
     AS q(key, provider, operation, request, reserved, lead_id, deadline_s, tier)"""
_NEW = f"{NOT_BARRED} AND {NEVER_ASKED}"

# For a run without a cap. Where somebody has set one, nothing is written: its calls are to be weighed.
INTEND = f"""
WITH {BARRED}, {CAPPED}, intended AS (
    {_INSERT.format(today=TODAY, asked=_ASKED, admitted=f"{_NEW} AND {NOT_CAPPED}", held=HELD)}
)
{WRITTEN.format(written="intended")}
UNION ALL SELECT q.key, false, true, NULL, NULL FROM {_ASKED}, capped WHERE {_NEW}
"""  # noqa: S608 - made of constants of the code; every value is bound

# What was asked before is no intent, whatever it would cost.
INTEND_WITHIN_CAPS = f"""
WITH {BARRED}, asked AS MATERIALIZED (
    SELECT q.*, {TODAY} AS day, q.reserved AS holds_usd, 0 AS held_usd,
           NULL::uuid AS old_campaign_id, NULL AS old_agent, NULL AS old_tier, NULL::date AS old_day
    FROM unnest(%(key)b::bytea[], %(provider)b::text[], %(operation)b::text[], %(request)b::text[],
                %(reserved)b::numeric[], %(lead_id)b::uuid[], %(deadline_s)b::float8[], %(tier)b::text[],
                %(keeps)b::numeric[], %(beside_usd)b::numeric[], %(covered)b::bool[])
         WITH ORDINALITY AS q(key, provider, operation, request, reserved, lead_id, deadline_s, tier,
                              keeps, beside_usd, covered, place)
    WHERE {_NEW}
), {WEIGHED}, intended AS (
    {
    _INSERT.format(
        today="q.day", asked="asked AS q", admitted="q.key NOT IN (SELECT key FROM refused)", held=HELD
    )
}
)
{ADMITTED.format(written="intended")}
"""  # noqa: S608 - made of constants of the code; every value is bound

NEWEST = """
SELECT q.place, c.key, c.state, c.outcome, c.attempt, c.losses, c.job_id, c.run_id, c.campaign_id,
       c.lead_id, c.cost_usd + c.unknown_usd AS booked, c.reserved_usd AS reserved,
       c.http_status, c.response, c.asked_at, c.settled_at, now() AS now,
       c.lost_after,
       coalesce(c.expires_at > now(), false) AS fresh,
       coalesce(c.settled_at, c.lost_after, c.asked_at) < now() - make_interval(secs => %(ttl_s)s) AS stale,
       coalesce(extract(epoch FROM now() - c.lost_after)::float8, 'infinity') AS overdue_s
FROM unnest(%(first)b::bytea[], %(last)b::bytea[]) WITH ORDINALITY AS q(first, last, place)
CROSS JOIN LATERAL (
    SELECT * FROM provider_calls WHERE key BETWEEN q.first AND q.last ORDER BY key DESC LIMIT 1
) AS c
"""

# Only the caller that saw the row as it still is gets it: attempt, state and deadline are the fencing token.
# A grant whose statement was repeated has a new deadline, and its call leaves.
# `booked` is 1 where an intent turns out lost, -1 where a job in doubt is in flight again. The free
# window runs from the first attempt in doubt, so that one keeps its time.
# A job that was submitted is read whatever the budgets say: it is on the bill already.
CLAIM = f"""
WITH {BARRED}, asked AS MATERIALIZED (
    SELECT q.*, c.provider, CASE WHEN c.job_id IS NULL THEN {TODAY} ELSE c.day END AS day,
           greatest(c.unknown_usd + q.booked * c.reserved_usd, 0) AS unknown_usd,
           CASE WHEN c.job_id IS NULL THEN q.reserved ELSE c.reserved_usd END AS reserved_usd,
           c.cost_usd + greatest(c.unknown_usd + q.booked * c.reserved_usd, 0)
           + CASE WHEN c.job_id IS NULL THEN q.reserved ELSE c.reserved_usd END AS holds_usd,
           c.cost_usd + c.unknown_usd
           + CASE WHEN c.state = 'intent' THEN c.reserved_usd ELSE 0 END AS held_usd,
           CASE WHEN c.job_id IS NULL THEN q.keeps_usd ELSE 0 END AS keeps,
           CASE WHEN c.job_id IS NULL THEN q.change_usd ELSE 0 END AS beside_usd,
           c.campaign_id AS old_campaign_id, c.agent AS old_agent, c.tier AS old_tier, c.day AS old_day
    FROM unnest(%(key)b::bytea[], %(attempt)b::int[], %(state)b::text[],
                %(lost_after)b::timestamptz[], %(booked)b::int[], %(reserved)b::numeric[],
                %(lead_id)b::uuid[], %(deadline_s)b::float8[], %(tier)b::text[],
                %(keeps)b::numeric[], %(beside_usd)b::numeric[], %(covered)b::bool[])
         WITH ORDINALITY AS q(key, attempt, state, lost_after, booked, reserved, lead_id, deadline_s, tier,
                              keeps_usd, change_usd, covered, place)
    JOIN provider_calls AS c ON c.key = q.key AND c.attempt = q.attempt AND c.state = q.state
        AND c.lost_after IS NOT DISTINCT FROM q.lost_after
    WHERE {NOT_BARRED}
), {WEIGHED}, claimed AS (
    UPDATE provider_calls AS c
    SET state = 'intent', attempt = c.attempt + 1, lead_id = q.lead_id, tier = q.tier, day = q.day,
        campaign_id = %(campaign_id)s, agent = %(agent)s, run_id = %(run_id)s, grant_id = %(grant_id)b,
        asked_at = CASE WHEN c.losses + q.booked > 0 THEN c.asked_at ELSE now() END,
        lost_after = now() + make_interval(secs => q.deadline_s),
        losses = greatest(c.losses + q.booked, 0), unknown_usd = q.unknown_usd, reserved_usd = q.reserved_usd
    FROM asked AS q
    WHERE c.key = q.key AND c.attempt = q.attempt AND c.state = q.state
        AND c.lost_after IS NOT DISTINCT FROM q.lost_after
        AND c.key NOT IN (SELECT key FROM refused) AND {HELD}
    RETURNING c.key
)
{ADMITTED.format(written="claimed")}
"""  # noqa: S608 - made of constants of the code; every value is bound

# What was granted by any try of a statement that was repeated. Nothing was sent, so its time begins now.
GRANTED = f"""
UPDATE provider_calls AS c SET lost_after = now() + make_interval(secs => q.deadline_s)
FROM unnest(%(key)b::bytea[], %(deadline_s)b::float8[]) AS q(key, deadline_s)
WHERE c.key = q.key AND c.grant_id = %(grant_id)b AND c.state = 'intent' AND {HELD}
RETURNING c.key
"""  # noqa: S608 - made of constants of the code; every value is bound

BOOK_AS_LOST = f"""
UPDATE provider_calls AS c
SET state = 'unknown', outcome = 'error', losses = losses + 1, unknown_usd = unknown_usd + reserved_usd,
    {UNLINKED}
WHERE (SELECT phase3_hold_budgets(ARRAY[%(key)s::bytea])) >= 0
    AND key = %(key)s AND attempt = %(attempt)s AND state = 'intent'
    AND lost_after IS NOT DISTINCT FROM %(lost_after)s::timestamptz AND {HELD}
"""  # noqa: S608 - made of constants of the code; every value is bound

# By index, whatever the ledger's length: see migration 0018.
PAID = """
SELECT c.lead_id, c.key,
       c.cost_usd + c.unknown_usd + CASE c.state WHEN 'intent' THEN c.reserved_usd ELSE 0 END,
       coalesce(c.expires_at, coalesce(c.settled_at, c.lost_after, c.asked_at)
                + make_interval(secs => %(ttl_s)s)) > now() AS stands
FROM provider_calls AS c
WHERE c.lead_id = ANY (%(leads)s::uuid[]) AND c.agent = %(agent)s
    AND (c.cost_usd + c.unknown_usd > 0 OR c.state = 'intent')
"""

STILL_HELD = f"SELECT {HELD}"

# Calls whose deadline has passed give nothing back before somebody looks after them.
OTHERS_RETURN = """
SELECT EXISTS (
    SELECT FROM budgets AS b JOIN provider_calls AS c ON c.provider = b.provider AND c.day = b.day
    WHERE b.scope = %(scope)s AND b.reserved_usd > 0 AND c.state = 'intent' AND c.lost_after > now())
"""

NOTE_JOB = """
UPDATE provider_calls AS c SET job_id = q.job_id
FROM unnest(%(key)b::bytea[], %(attempt)b::int[], %(job_id)b::text[]) AS q(key, attempt, job_id)
WHERE c.key = q.key AND c.attempt = coalesce(q.attempt, c.attempt) AND c.state <> 'settled'
"""

DROP_JOB = """
UPDATE provider_calls SET job_id = NULL
WHERE key = %(key)s AND attempt = %(attempt)s AND state = 'intent'
RETURNING true
"""

ANSWER = {
    "outcome": "q.told",
    "http_status": "q.http_status",
    "response": "CASE WHEN c.erased_at IS NULL THEN q.response::jsonb END",
    "error": "CASE WHEN c.erased_at IS NULL THEN q.error END",
    "response_time_ms": "q.took_ms",
    "settled_at": "now()",
    "expires_at": "CASE WHEN q.answered THEN now() + make_interval(secs => %(ttl_s)s) END",
}

OUTCOMES = """
FROM unnest(%(key)b::bytea[], %(attempt)b::int[], %(reserved)b::numeric[], %(lost)b::bool[],
            %(answered)b::bool[], %(ends_doubt)b::bool[], %(told)b::text[], %(cost)b::numeric[],
            %(http_status)b::int[], %(response)b::text[], %(error)b::text[], %(took_ms)b::int[])
     WITH ORDINALITY AS q(key, attempt, reserved, lost, answered, ends_doubt, told, cost,
                          http_status, response, error, took_ms, place)
WHERE (SELECT phase3_hold_budgets(%(key)b::bytea[])) >= 0 AND c.key = q.key
"""

# A job whose reading was refused is still the vendor's to bill: to be read again.
SETTLE = f"""
UPDATE provider_calls AS c
SET state = CASE WHEN q.answered THEN 'settled'
                 WHEN q.lost OR c.job_id IS NOT NULL OR c.losses > 0 THEN 'unknown'
                 ELSE 'settled' END,
    cost_usd = c.cost_usd + q.cost,
    unknown_usd = CASE WHEN q.ends_doubt THEN 0
                       WHEN q.lost OR (c.job_id IS NOT NULL AND NOT q.answered)
                       THEN c.unknown_usd + c.reserved_usd
                       ELSE c.unknown_usd END,
    losses = c.losses + (q.lost OR (c.job_id IS NOT NULL AND NOT q.answered))::int,
    heard = c.heard || c.attempt,
    {UNLINKED},
    {", ".join(f"{name} = {value}" for name, value in ANSWER.items())}
{OUTCOMES} AND c.state = 'intent' AND c.attempt = coalesce(q.attempt, c.attempt)
RETURNING q.place
"""  # noqa: S608 - made of constants of the code; every value is bound

# The attempt had been taken for lost, and its ceiling booked: now its cost is known. If its successor is
# still out, the row is settled under it, and that one's ceiling is booked until it arrives as late as this.
# What free replays and readings of one job cost is one charge, whoever brings the answer. An attempt is
# heard once, so a statement that is repeated books nothing twice.
SETTLE_LATE = f"""
UPDATE provider_calls AS c
SET state = CASE WHEN q.answered THEN 'settled'
                 WHEN c.state = 'unknown' AND c.losses <= 1 THEN 'settled'
                 ELSE c.state END,
    cost_usd = CASE WHEN q.ends_doubt OR c.job_id IS NOT NULL THEN greatest(c.cost_usd, q.cost)
                    ELSE c.cost_usd + q.cost END,
    unknown_usd = CASE WHEN q.ends_doubt THEN 0 ELSE greatest(c.unknown_usd
        - CASE WHEN c.job_id IS NULL OR c.state = 'unknown'
               THEN coalesce(q.reserved, c.reserved_usd) ELSE 0 END, 0)
        + CASE WHEN q.answered AND c.state = 'intent' AND c.job_id IS NULL
               THEN c.reserved_usd ELSE 0 END END,
    losses = greatest(c.losses - 1, 0),
    heard = c.heard || coalesce(q.attempt, c.attempt)::smallint,
    {
    ", ".join(
        f"{name} = CASE WHEN q.answered AND (c.state <> 'settled' OR c.outcome = 'error')"
        f" THEN {value} ELSE c.{name} END"
        for name, value in ANSWER.items()
    )
}
{OUTCOMES} AND (q.answered OR c.job_id IS NULL)
    AND (coalesce(q.attempt, c.attempt) = ANY(c.heard)) IS NOT TRUE
"""  # noqa: S608 - made of constants of the code; every value is bound
