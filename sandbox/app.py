"""The application, and a running one for tests in the same event loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.billing import Bill, open_accounts
from sandbox.control import Control
from sandbox.desk import Desk, Sites, Switchboard
from sandbox.faults import Faults
from sandbox.google import Google
from sandbox.options import Options
from sandbox.population import make_world
from sandbox.registry import VENDORS
from sandbox.slack import Workspace
from sandbox.strangers import opened
from sandbox.vendor import Setting, Vendor
from sandbox.world import World

BODY_LIMIT = 64 * 1024 * 1024
STOP_WITHIN_S = 0.2


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    url: str
    runner: web.AppRunner = field(repr=False)
    parts: "Parts" = field(repr=False)  # a loop that ends spells out what it came to: the whole world, else

    @property
    def connected(self) -> bool:
        """Whether anybody is."""
        return bool(self.runner.server and self.runner.server.connections)


@dataclass(frozen=True)
class Parts:
    """What a sandbox is made of, for tests that look inside."""

    world: World
    bill: Bill
    faults: Faults
    vendors: dict[str, Vendor]
    application: web.Application
    google: Google


def assemble(options: Options) -> Parts:
    """All parts, wired; the world of the same options is made once per process."""
    world = make_world(options.scenario, options.seed, options.scale)
    if options.strangers:
        world = opened(world, options.seed)
    bill = Bill(open_accounts([vendor.name for vendor in VENDORS], options.prices, options.seed))
    faults = Faults(options.seed)
    latency_s = options.latency_ms / 1_000
    vendors = {one.name: one(Setting(world, bill, bill.accounts[one.name], options)) for one in VENDORS}
    desks = [Desk(vendor, bill, faults, latency_s) for vendor in vendors.values()]
    switchboard = Switchboard(desks, Sites(world, faults, latency_s))
    control = Control(world, bill, faults, switchboard.desks, switchboard.sites)
    application = web.Application(client_max_size=BODY_LIMIT)
    google = Google()
    application.add_routes([*control.routes(), *google.routes(), *Workspace().routes()])
    application.add_routes([web.route("*", "/{anything:.*}", switchboard.serve)])
    return Parts(world, bill, faults, vendors, application, google)


def build(options: Options) -> web.Application:
    """The application alone."""
    return assemble(options).application


@asynccontextmanager
async def serve(options: Options) -> AsyncIterator[Sandbox]:
    """Listens until the block is left; unanswered requests do not hold it up."""
    parts = assemble(options)
    runner = web.AppRunner(parts.application, access_log=None, shutdown_timeout=STOP_WITHIN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, backlog=1_024)
        await site.start()
        yield Sandbox(f"http://{options.host}:{runner.addresses[0][1]}", runner, parts)
    finally:
        await runner.cleanup()
