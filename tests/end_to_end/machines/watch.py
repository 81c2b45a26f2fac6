"""What PostgreSQL sees while runs are at work, again and again: connections by machine, runs by campaign."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

EVERY_S = 0.1
CONNECTIONS = """
SELECT host(client_addr), count(*) FROM pg_stat_activity
WHERE client_addr IS NOT NULL AND pid <> pg_backend_pid() GROUP BY 1
"""
RUNS = """
SELECT t.value, count(*) FROM dagster.runs AS r JOIN dagster.run_tags AS t USING (run_id)
WHERE t.key = 'dagster/partition' AND r.status IN ('STARTING', 'STARTED', 'CANCELING') GROUP BY 1
"""
HOLDERS = """
SELECT host(a.client_addr), count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE 'phase3:%' GROUP BY 1
"""


@dataclass
class Watch:
    """The most that was seen at once, and what was seen last."""

    connections: Counter[str] = field(default_factory=Counter)
    in_all: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    at_work: Counter[str] = field(default_factory=Counter)  # runs that hold a campaign, by their machine

    def look(self, database: psycopg.Connection) -> None:
        open_now: Counter[str] = Counter(dict(database.execute(CONNECTIONS).fetchall()))
        self.connections |= open_now
        self.in_all = max(self.in_all, open_now.total())
        self.runs |= Counter(dict(database.execute(RUNS).fetchall()))
        self.at_work = Counter(dict(database.execute(HOLDERS).fetchall()))


@contextmanager
def watched(url: str) -> Iterator[Watch]:
    watch, over = Watch(), threading.Event()

    def look_on() -> None:
        with psycopg.connect(url, autocommit=True) as database:
            while not over.wait(EVERY_S):
                watch.look(database)

    watcher = threading.Thread(target=look_on)
    watcher.start()
    try:
        yield watch
    finally:
        over.set()
        watcher.join()
