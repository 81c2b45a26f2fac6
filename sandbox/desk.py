"""From a request to an answer: who is asked, what goes wrong on purpose, who is billed, how long it takes."""

import asyncio
import re
from collections.abc import Sequence

from aiohttp import web

from sandbox.billing import Bill
from sandbox.faults import (
    AFTER_BILLING,
    ALIKE_EVERYWHERE,
    Fault,
    Faults,
    Kind,
    hang_up,
    huge_chunks,
    spoiled,
)
from sandbox.limits import Pressure
from sandbox.sites import HANG_UP, company_page
from sandbox.vendor import DAY_S, Operation, Vendor
from sandbox.wire import TEXT, Ask, Reply, answer
from sandbox.world import World

WEB = "web"
LOOK_AGAIN_S = 0.05


class Line:
    """The way to one party: its faults and its latency."""

    def __init__(self, name: str, faults: Faults, latency_s: float) -> None:
        self.name = name
        self.faults = faults
        self.latency_s = latency_s

    async def struck(self, request: web.Request, fault: Fault, reply: Reply) -> web.StreamResponse:
        """A finished answer on its disturbed way back."""
        if fault.kind is Kind.LATENCY:
            await asyncio.sleep(fault.ms / 1_000)
        match fault.kind:
            case Kind.TIMEOUT_AFTER:
                return await silence(request)
            case Kind.RESET_AFTER:
                return closed(request)
            case Kind.BROKEN_OFF:
                return await broken_off(request, reply)
            case Kind.HUGE_BODY:
                return await huge(request, reply)
            case Kind.SLOW_DRIP:
                return await dripping(request, reply, fault.ms / 1_000)
            case kind:
                return spoiled(kind, reply).response()


class Desk(Line):
    """One vendor's front desk."""

    def __init__(self, vendor: Vendor, bill: Bill, faults: Faults, latency_s: float) -> None:
        super().__init__(vendor.name, faults, latency_s)
        self.vendor = vendor
        self.bill = bill
        operations = vendor.operations()
        self.exact = {(one.method, one.path): one for one in operations if "*" not in one.path}
        self.patterns = [(_pattern(one.path), one) for one in operations if "*" in one.path]
        self.paths = {one.path for one in operations}

    async def serve(self, request: web.Request, path: str) -> web.StreamResponse:
        """Read, count, let faults strike, answer."""
        ask = Ask(request, await request.read() if request.body_exists else b"")
        ask.path = path
        operation = self.exact.get((ask.method, path)) or self.matched(ask, path)
        if operation is None:
            return self.vendor.no_route(path_known=path in self.paths).response()
        question = operation.question(ask)
        self.bill.ask(self.vendor.account, operation.name, question)
        fault = self.faults.draw(self.name, operation.name) if self.faults.rules else None
        if fault is not None:
            return await self.disturbed(request, ask, operation, question, fault)
        return (await self.reply(ask, operation, question)).response()

    def matched(self, ask: Ask, path: str) -> Operation | None:
        """The operation whose placeholders fit the path."""
        for pattern, operation in self.patterns:
            found = pattern.fullmatch(path)
            if found and operation.method == ask.method:
                ask.args = found.groups()
                return operation
        return None

    async def reply(self, ask: Ask, operation: Operation, question: str) -> Reply:
        """Key, account, limits; then the answer, billed before the first wait."""
        vendor = self.vendor
        if not operation.public and not vendor.authorised(ask):
            return vendor.unauthorised(ask)
        if vendor.account.blocked:
            return vendor.blocked(ask)
        gate = vendor.gates.get(operation.quota)
        if gate is not None and (pressure := gate.enter()) is not None:
            vendor.account.turned_away += 1
            return vendor.rate_limited(pressure)
        try:
            reply = operation.answer(ask, question)
            if gate is not None and (headers := vendor.headers(gate.pressure())):
                reply.headers = {**headers, **reply.headers}
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
        finally:
            if gate is not None:
                gate.leave()
        return reply

    async def disturbed(
        self,
        request: web.Request,
        ask: Ask,
        operation: Operation,
        question: str,
        fault: Fault,
    ) -> web.StreamResponse:
        """Faults on the way there cost nothing; the others strike an answer that is already billed."""
        if fault.kind in AFTER_BILLING:
            return await self.struck(request, fault, await self.reply(ask, operation, question))
        match fault.kind:
            case Kind.TIMEOUT_BEFORE:
                return await silence(request)
            case Kind.RESET_BEFORE:
                return closed(request)
            case Kind.OUT_OF_CREDITS:
                return self.vendor.broke(operation, ask, question).response()
            case kind:
                return self.refusal(kind, ask, fault).response()

    def refusal(self, kind: Kind, ask: Ask, fault: Fault) -> Reply:
        """A fault that is an answer, in the vendor's own words where it has some."""
        if alike := ALIKE_EVERYWHERE.get(kind):
            return alike
        match kind:
            case Kind.RATE_LIMITED:
                return self.vendor.rate_limited(Pressure("minute", 60, 0, fault.ms / 1_000))
            case Kind.DAY_SPENT:
                return self.vendor.rate_limited(Pressure("day", 60, 0, DAY_S))
            case Kind.UNAUTHORIZED:
                return self.vendor.unauthorised(ask)
            case _:
                return self.vendor.failed()


class Sites(Line):
    """All company web sites behind one door."""

    def __init__(self, world: World, faults: Faults, latency_s: float) -> None:
        super().__init__(WEB, faults, latency_s)
        self.world = world

    async def serve(self, request: web.Request, host: str) -> web.StreamResponse:
        """The page, unless the site hangs up or a fault strikes."""
        fault = self.faults.draw(WEB, request.path) if self.faults.rules else None
        if fault is not None and fault.kind in {Kind.TIMEOUT_BEFORE, Kind.RESET_BEFORE}:
            return await silence(request) if fault.kind is Kind.TIMEOUT_BEFORE else closed(request)
        reply = company_page(self.world, host, request.path)
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        if reply is HANG_UP:
            return closed(request)
        return (
            reply.response() if fault is None else await self.struck(request, fault, _web_fault(fault, reply))
        )


class Switchboard:
    """The one handler of all requests that are not the control plane's."""

    def __init__(self, desks: Sequence[Desk], sites: Sites) -> None:
        self.desks = {desk.name: desk for desk in desks}
        self.sites = sites

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """By Host header to a company's site, by the first part of the path to a vendor."""
        host = request.headers.get("Host", "").partition(":")[0].lower()
        if host.endswith(".example"):
            return await self.sites.serve(request, host)
        name, _, rest = request.path[1:].partition("/")
        desk = self.desks.get(name)
        if desk is None:
            return answer({"error": f"no vendor at /{name}", "vendors": list(self.desks)}, 404).response()
        return await desk.serve(request, rest)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\*", "([^/]+)"))


def _web_fault(fault: Fault, reply: Reply) -> Reply:
    """The page as a web server's own trouble leaves it."""
    if alike := ALIKE_EVERYWHERE.get(fault.kind):
        return alike
    match fault.kind:
        case Kind.SERVER_ERROR | Kind.OUT_OF_CREDITS:
            return Reply(503, b"Service Unavailable", TEXT)
        case Kind.RATE_LIMITED | Kind.DAY_SPENT:
            return Reply(429, b"Too Many Requests", TEXT, {"Retry-After": "1"})
        case Kind.UNAUTHORIZED:
            return Reply(403, b"Forbidden", TEXT)
        case _:
            return reply


async def silence(request: web.Request) -> web.StreamResponse:
    """Nothing, until the client gives up."""
    while request.transport and not request.transport.is_closing():  # noqa: ASYNC110 - aiohttp has no event for a client that leaves
        await asyncio.sleep(LOOK_AGAIN_S)
    return web.Response()


def closed(request: web.Request) -> web.StreamResponse:
    """A reset in place of an answer."""
    hang_up(request)
    return web.Response()


async def huge(request: web.Request, reply: Reply) -> web.StreamResponse:
    """50 MB, as fast as the client reads."""
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    await response.prepare(request)
    try:
        for chunk in huge_chunks(reply):
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        hang_up(request)
    return response


async def broken_off(request: web.Request, reply: Reply) -> web.StreamResponse:
    """Half of what was announced, and an orderly end of the connection."""
    response = await announced(request, reply)
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def dripping(request: web.Request, reply: Reply, pause_s: float) -> web.StreamResponse:
    """One byte at a time."""
    response = await announced(request, reply)
    try:
        for byte in reply.body:
            await response.write(bytes((byte,)))
            await asyncio.sleep(pause_s)
        await response.write_eof()
    except ConnectionError:
        hang_up(request)
    return response


async def announced(request: web.Request, reply: Reply) -> web.StreamResponse:
    """The head of the reply, with its body's length."""
    headers = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))}
    response = web.StreamResponse(status=reply.status, headers=headers)
    await response.prepare(request)
    return response
