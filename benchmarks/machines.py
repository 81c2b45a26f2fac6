"""Six campaigns on two machines of Celery workers; one machine is lost halfway.

The machines are network namespaces on a bridge of this one, set up by what deploy/ says, with Redis as the
broker: one computer carries them and the servers. Limits are those of the real plans times six, so that they
bind. Wanted: every campaign ends, no vendor turns a request away, no question is billed twice, and no machine
has more connections than docs/deploying.md allows. A dead run is marked when PostgreSQL has given up its
connections and its campaign's lock was free for 30 s. Needs root, `ip` and `redis-server`.
"""

import argparse
import sys

from tests.caretaker import cared_for
from tests.end_to_end.machines.deployment import PLACES
from tests.end_to_end.machines.loss import OF_A_RUN, Loss, survived
from tests.end_to_end.machines.network import missing


def table(loss: Loss) -> str:
    rows = [f"| {what} | {figure} |" for what, figure in figures(loss).items()]
    return "\n".join(["| | |", "|---|---|", *rows])


def figures(loss: Loss) -> dict[str, object]:
    books = loss.dagster.books
    return {
        "leads in six campaigns": f"{books.number('leads'):,}",
        "runs": books.number("dagster.runs"),
        "of them lost with the machine": books.number("dagster.runs WHERE status = 'FAILURE'"),
        "requests refused by vendors": loss.dagster.vendors.turned_away,
        "questions billed twice": loss.billed_twice,
        "seconds until the last lost run was marked": f"{loss.marked_after_s:.0f}",
        "most connections of a machine": f"{most_connections(loss)}, at most {OF_A_RUN * PLACES}",
        "seconds until all campaigns had ended": f"{loss.ended_at - loss.began_at:.0f}",
    }


def most_connections(loss: Loss) -> int:
    return max(loss.watch.connections[machine.address] for machine in loss.machines)


def as_wanted(loss: Loss) -> bool:
    ended = all(loss.dagster.runs(campaign)[-1] == "SUCCESS" for campaign in loss.campaigns)
    harmless = loss.dagster.vendors.turned_away == loss.billed_twice == 0
    return ended and harmless and most_connections(loss) <= OF_A_RUN * PLACES


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    if why_not := missing():
        sys.exit(f"No machines can be had here: {why_not}.")
    with cared_for("phase3-machines-") as folder, survived(folder) as loss:
        print(table(loss))
        return 0 if as_wanted(loss) else 1


if __name__ == "__main__":
    sys.exit(main())
