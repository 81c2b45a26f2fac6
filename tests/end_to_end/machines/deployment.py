"""The services of deploy/, started without containers: the same words, at addresses of ours."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resources.settings import FILE_VARIABLE
from tests.end_to_end.campaign import Books
from tests.end_to_end.dagster_ui import ANY_NUMBER, Dagster
from tests.end_to_end.machines import shipped
from tests.end_to_end.machines.network import Machine, Network, network
from tests.end_to_end.machines.servers import PASSWORD, broker, free_port, postgres
from tests.end_to_end.shell import PROGRAMS, Shell, Vendors, in_a_group, until, vendors

OFFICE = "office"  # this machine
PLACES = 3  # of each worker, instead of the eight of a bigger machine


@dataclass(frozen=True, slots=True)
class Deployment:
    """`words` of commands and `names` in addresses are those of containers, by what they are here."""

    network: Network
    directory: Path
    vendors: Vendors
    words: Mapping[str, str]
    names: Mapping[str, str]
    instance: Path

    def shell(self, machine: str = OFFICE) -> Shell:
        """As in a container on that machine: no file is shared but the settings."""
        directory = self.directory / machine
        own = {
            "DAGSTER_HOME": str(directory / "home"),
            "PHASE3_STATE_DIR": str(directory / "state"),
            "PHASE3_EXPORTS_DIR": str(directory / "exports"),
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        }
        return Shell(directory, {**self._of_vendors(), **self._of_servers(), **own})

    def _of_vendors(self) -> dict[str, str]:
        """Without the door to its web sites, which is on loopback or nowhere."""
        told = self.vendors.variables(self.directory)
        with Path(told[FILE_VARIABLE]).open("a", encoding="utf-8") as settings:
            settings.write(f"\n[thresholds]\n{ANY_NUMBER}\n")
        place = shipped.image_variables()[FILE_VARIABLE]
        assert place in shipped.bound("worker"), "no container would find its settings"
        return {name: value for name, value in told.items() if name != "PHASE3_SANDBOX_WEB"}

    def _of_servers(self) -> dict[str, str]:
        told = shipped.variables("worker")
        for name, ours in self.names.items():
            told = {variable: value.replace(name, ours) for variable, value in told.items()}
        return told

    def furnish(self, machine: str) -> None:
        home = Path(self.shell(machine).variables["DAGSTER_HOME"])
        home.mkdir(parents=True)
        shutil.copy(self.instance, home)

    @contextmanager
    def started(self, service: str, on: Machine | None = None) -> Iterator[subprocess.Popen[str]]:
        shell = self.shell(on.name if on else OFFICE)
        words = [self.words.get(word, word) for word in shipped.command(service)]
        at = {"env": shell.environment, "cwd": shell.directory}
        with (
            (shell.directory / f"{service}.log").open("ab") as log,
            in_a_group(on.reached(words) if on else words, stdout=log, stderr=log, **at) as process,
        ):
            yield process


@contextmanager
def deployed(
    directory: Path, machines: int, scale: float, rate_factor: float, instance: Path = shipped.INSTANCE
) -> Iterator[Deployment]:
    """Servers and vendors are up, tables are made; nothing of Dagster runs yet."""
    with (
        network(machines) as net,
        vendors(scale, rate_factor=rate_factor, host=net.address) as asked,
        postgres(net.address, directory, shipped.command("postgres")[1:]) as database,
        broker(net.address, directory, shipped.command("redis")) as queue,
    ):
        words = addressed(net.address, directory)
        deployment = Deployment(net, directory, asked, words, named(database, queue), instance)
        for machine in (OFFICE, *(machine.name for machine in net.machines)):
            deployment.furnish(machine)
        with deployment.started("upgrade") as upgrade:
            assert upgrade.wait() == 0, (directory / OFFICE / "upgrade.log").read_text()
        yield deployment


def addressed(address: str, directory: Path) -> dict[str, str]:
    """Words of the services' commands, by what they are here; the workspace is written anew."""
    workspace, code = directory / "workspace.yaml", str(free_port(address))
    place = shipped.WORKSPACE.read_text(encoding="utf-8")
    workspace.write_text(place.replace("host: code", f"host: {address}").replace("4000", code))
    own = {"0.0.0.0": address, "3000": str(free_port(address)), "4000": code, "8": str(PLACES)}
    return {**own, "deploy/workspace.yaml": str(workspace)}


def named(database: str, queue: str) -> dict[str, str]:
    """Parts of the services' variables, by what they are here."""
    return {
        "${POSTGRES_PASSWORD:?set it in .env}": PASSWORD,
        "postgres:5432": database,
        "redis://redis:6379/0": queue,
    }


@contextmanager
def at_work(deployment: Deployment) -> Iterator[Dagster]:
    """Code location, web server and daemon, here, in the order in which Compose starts them."""
    with started_code(deployment) as dagster, deployment.started("daemon"):
        yield dagster


@contextmanager
def started_code(deployment: Deployment) -> Iterator[Dagster]:
    """And the web server, which knows when it is there."""
    dagster = seen(deployment)
    with deployment.started("code"), deployment.started("webserver"):
        until(dagster.loaded, every_s=0.25)
        yield dagster


def seen(deployment: Deployment) -> Dagster:
    """Whatever of it is up."""
    office = deployment.shell()
    books = Books(office.variables["DATABASE_URL"].replace("phase3@", f"phase3:{PASSWORD}@"), "phase3")
    port, host = int(deployment.words["3000"]), deployment.network.address
    return Dagster(port, books, deployment.vendors, office, "", office.directory, host)
