"""What is said to the database about rate limits, all of it on the database's time."""

from sqlalchemy import text

# Half of what is above 1 is forgotten each minute; after an hour there is nothing left to halve.
_MINUTES = "least(60, extract(epoch FROM clock_timestamp() - strained_at)::float8 / 60)"
_STRAIN = f"(1 + (strain - 1) * power(0.5::float8, {_MINUTES}))"
_TODAY = "(clock_timestamp() AT TIME ZONE 'UTC')::date"
_USED = f"CASE WHEN day = {_TODAY} THEN used_today ELSE 0 END"
_GIVEN_BACK = "CASE WHEN day = CAST(:unused_of AS date) THEN CAST(:unused AS integer) ELSE 0 END"

# What was booked while the clock was ahead lies as far ahead of the clock that was set back as it lay then.
_NEXT_AT = "next_at - greatest(booked_at - clock_timestamp(), interval '0')"

CLOCK = text("SELECT extract(epoch FROM clock_timestamp())::float8 AS at")

ADD = text("INSERT INTO rate_limits (name) VALUES (:name) ON CONFLICT DO NOTHING")

# `moment` is taken once the row is ours: whoever had it before has booked what lies ahead of us. It counts on
# the day on which it comes: what is booked shortly before midnight may leave after it.
BOOK = text(f"""
    WITH limits AS (
        SELECT name, next_at, booked_at, rests_until, strain, strained_at, day, used_today
        FROM rate_limits WHERE name = :name FOR UPDATE
    ), clock AS MATERIALIZED (
        SELECT *, {_NEXT_AT} AS free_at, clock_timestamp() AS at, :gap_s * greatest(1, {_STRAIN}) AS gap_s
        FROM limits
    ), moment AS (
        SELECT *, greatest(free_at, at) AS opens, (greatest(free_at, at) AT TIME ZONE 'UTC')::date AS its_day
        FROM clock
    ), counted AS (
        SELECT name, free_at AS next_at, rests_until, at, gap_s, opens, its_day,
            CASE WHEN day = its_day THEN greatest(0, used_today - {_GIVEN_BACK}) ELSE 0 END AS used
        FROM moment
    ), booked AS (
        SELECT *, CASE WHEN rests_until > at THEN 0
                ELSE greatest(0, least(:wanted, coalesce(:per_day - used, :wanted))) END AS n,
            CASE WHEN rests_until > at THEN rests_until
                ELSE date_trunc('day', opens, 'UTC') + interval '1 day' END AS again
        FROM counted
    )
    UPDATE rate_limits SET
        next_at = CASE WHEN n > 0 THEN opens + make_interval(secs => n * gap_s) ELSE booked.next_at END,
        booked_at = at,
        day = its_day,
        used_today = booked.used + n
    FROM booked WHERE rate_limits.name = booked.name
    RETURNING n, gap_s, extract(epoch FROM at)::float8 AS at, extract(epoch FROM opens)::float8 AS opens,
        again, extract(epoch FROM again - at)::float8 AS again_in_s, day
""")  # noqa: S608 - made of constants of the code; every value is bound

UNBOOK = text(f"""
    UPDATE rate_limits SET used_today = greatest(0, used_today - {_GIVEN_BACK}) WHERE name = :name
""")  # noqa: S608 - made of constants of the code; every value is bound

HOLD = text(f"""
    UPDATE rate_limits SET booked_at = clock_timestamp(),
        next_at = greatest({_NEXT_AT}, clock_timestamp() + make_interval(secs => :seconds))
    WHERE name = :name
""")  # noqa: S608 - made of constants of the code; every value is bound

REST = text("""
    UPDATE rate_limits
    SET rests_until = greatest(rests_until, clock_timestamp() + make_interval(secs => :seconds))
    WHERE name = :name
""")

# A burst of refusals is one refusal.
STRAIN = text(f"""
    UPDATE rate_limits SET strain = least(16, 2 * greatest(1, {_STRAIN})), strained_at = clock_timestamp()
    WHERE name = :name AND strained_at < clock_timestamp() - interval '1 second'
""")  # noqa: S608 - made of constants of the code; every value is bound

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

HOLDERS = text("""
    SELECT process, held, need, extract(epoch FROM clock_timestamp() - changed_at)::float8 AS since_s
    FROM rate_limit_places
    WHERE name = :name
        AND (process = :process OR seen_at > clock_timestamp() - make_interval(secs => :gone_s))
""")

TAKE = text(f"""
    WITH gone AS (
        DELETE FROM rate_limit_places
        WHERE name = :name AND process <> :process
            AND seen_at <= clock_timestamp() - make_interval(secs => :gone_s)
    ), asked AS (
        UPDATE rate_limits SET
            used_today = {_USED} + :asked, day = {_TODAY}
        WHERE name = :name AND :asked > 0
    )
    INSERT INTO rate_limit_places AS mine (name, process, held, need) VALUES (:name, :process, :held, :need)
    ON CONFLICT (name, process) DO UPDATE SET
        held = :held, need = :need, seen_at = clock_timestamp(),
        changed_at = CASE WHEN (mine.held = 0) = (:held = 0) THEN mine.changed_at
            ELSE clock_timestamp() END
""")  # noqa: S608 - made of constants of the code; every value is bound

TOLD = text(f"""
    SELECT greatest(0, extract(epoch FROM {_NEXT_AT} - clock_timestamp()))::float8 AS held_s,
        rests_until, extract(epoch FROM rests_until - clock_timestamp())::float8 AS rests_s
    FROM rate_limits WHERE name = :name
""")  # noqa: S608 - made of constants of the code; every value is bound

GIVE_BACK = text("DELETE FROM rate_limit_places WHERE process = :process")

IN_USE = text(f"""
    SELECT name, {_USED} AS used_today, greatest(1, {_STRAIN}) AS strain,
        (SELECT coalesce(sum(held), 0) FROM rate_limit_places AS p WHERE p.name = rate_limits.name
            AND seen_at > clock_timestamp() - make_interval(secs => :gone_s)) AS held
    FROM rate_limits
""")  # noqa: S608 - made of constants of the code; every value is bound
