"""Six campaigns on two machines, set up by what deploy/ says; one machine is lost while it works."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from phase3_core.calls import ReplayClass
from tests.end_to_end.dagster_ui import Dagster
from tests.end_to_end.machines.deployment import PLACES, Deployment, at_work, deployed
from tests.end_to_end.machines.network import Machine
from tests.end_to_end.machines.watch import Watch, watched
from tests.end_to_end.shell import until
from tests.end_to_end.test_interrupted_runs import replay, times_billed

SCALE = 0.03  # some 1,260 leads
CAMPAIGNS = 6
HALFWAY = 0.4  # of all leads
SHARED = 40  # leads that a campaign has in common with the next
SLOWNESS = 6.0  # limits of the real plans, times this: they bind, and a campaign takes a minute
OF_A_RUN = 9  # connections
DECIDED = "leads WHERE email_status IS NOT NULL"
IN_FLIGHT = "provider_calls WHERE state = 'intent'"
WAITING_OR_AT_WORK = "dagster.runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
COMPLETE = "campaigns WHERE status IN ('verification_complete', 'pending_approval')"
LAST_MARKED = "SELECT max(end_time) AS at FROM dagster.runs WHERE status = 'FAILURE'"


@dataclass(frozen=True, slots=True)
class Loss:
    """What is left to look at when all campaigns have ended; times in seconds since 1970."""

    dagster: Dagster
    campaigns: list[str]
    watch: Watch
    machines: tuple[Machine, ...]
    began_at: float
    died_at: float
    ended_at: float

    @property
    def marked_after_s(self) -> float:
        """From the machine's end until the last of its runs was FAILURE."""
        (last,) = self.dagster.books.query(LAST_MARKED)
        return float(last["at"]) - self.died_at

    @property
    def billed_twice(self) -> int:
        """Questions, but for those that their vendor may bill once more for a hit."""
        billed = times_billed(self.dagster.vendors).items()
        return sum(times > 1 + (replay(vendor) is ReplayClass.ON_HIT) for (vendor, *_), times in billed)


def imported(deployment: Deployment, campaigns: int = CAMPAIGNS, shared: int = SHARED) -> list[str]:
    """Lists that overlap: who is in two campaigns is asked about once all the same."""
    shell = deployment.shell()
    heading, *leads = deployment.vendors.text("leads.csv").splitlines()
    size = len(leads) // campaigns
    made = []
    for n in range(campaigns):
        file = shell.directory / f"leads-{n}.csv"
        file.write_text("\n".join([heading, *leads[n * size : (n + 1) * size + shared]]), encoding="utf-8")
        said = shell("import", str(file), "--name", f"Campaign {n}")
        assert said.code == 0, said.err
        made.append(said.out.strip())
    return made


@contextmanager
def survived(folder: Path) -> Iterator[Loss]:
    """The first machine dies halfway; everything is still up when the campaigns have ended."""
    with deployed(folder, machines=2, scale=SCALE, rate_factor=SLOWNESS) as deployment:
        lost, kept = deployment.network.machines
        campaigns = imported(deployment)
        with (
            deployment.started("worker", lost),
            deployment.started("worker", kept),
            at_work(deployment) as dagster,
            watched(dagster.books.url) as watch,
        ):
            began_at = time.time()
            until(lambda: watch.at_work == {lost.address: PLACES, kept.address: PLACES})
            dagster.launch(campaigns[0])
            until(lambda: dagster.books.number(DECIDED) > HALFWAY * dagster.books.number("leads"))
            assert watch.at_work[lost.address]
            lost.dies()
            died_at = time.time()
            until(partial(finished, dagster), every_s=0.5)
            yield Loss(dagster, campaigns, watch, (lost, kept), began_at, died_at, time.time())


def finished(dagster: Dagster) -> bool:
    """What a dead run had in flight is taken back when its calls can no longer be answered."""
    done = dagster.books.number(COMPLETE) == CAMPAIGNS
    return done and not dagster.books.number(WAITING_OR_AT_WORK) and not dagster.books.number(IN_FLIGHT)
