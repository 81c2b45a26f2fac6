"""The control plane: what a client needs, what is true, what was billed, and every switch."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from sandbox.billing import Bill
from sandbox.desk import WEB, Desk, Sites
from sandbox.faults import EVERYBODY, Fault, Faults, Kind
from sandbox.lead_csv import delivered, truth
from sandbox.limits import Gate, Quota
from sandbox.slack import Workspace
from sandbox.wire import TEXT, Reply, answer, text
from sandbox.world import World

CSV = "text/csv; charset=utf-8"
SEARCHERS = ("brave", "claude", "serper", "tavily")


class Control:
    """Routes under `/_sandbox`. Wrong input is a 400 in words."""

    def __init__(
        self, world: World, bill: Bill, faults: Faults, desks: dict[str, Desk], sites: Sites
    ) -> None:
        self.world = world
        self.bill = bill
        self.faults = faults
        self.desks = desks
        self.sites = sites

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/_sandbox/env", _careful(self.env)),
            web.get("/_sandbox/settings.toml", _careful(self.settings)),
            web.get("/_sandbox/limits", _careful(self.limits)),
            web.post("/_sandbox/limits", _careful(self.hold_to)),
            web.get("/_sandbox/traffic", _careful(self.traffic)),
            web.get("/_sandbox/leads.csv", _careful(self.leads)),
            web.get("/_sandbox/truth.csv", _careful(self.truth)),
            web.get("/_sandbox/bill", _careful(self.summary)),
            web.get("/_sandbox/billing", _careful(self.billing)),
            web.get("/_sandbox/requests", _careful(self.requests)),
            web.get("/_sandbox/variants", _careful(self.all_variants)),
            web.post("/_sandbox/variants", _careful(self.switch)),
            web.post("/_sandbox/accounts/{vendor}", _careful(self.account)),
            web.get("/_sandbox/faults", _careful(self.all_faults)),
            web.post("/_sandbox/faults", _careful(self.break_something)),
            web.delete("/_sandbox/faults", _careful(self.mend)),
            web.post("/_sandbox/latency", _careful(self.latency)),
        ]

    # -- for clients

    async def env(self, request: web.Request) -> Reply:
        """Environment of a client; `?web_search=` chooses among the search vendors."""
        chosen = request.query.get("web_search", SEARCHERS[0])
        origin = f"http://{request.host}"
        pairs = {"PHASE3_SANDBOX_WEB": request.host, **Workspace.env(origin)}
        for name, desk in self.desks.items():
            if name == chosen or name not in SEARCHERS:
                pairs |= desk.vendor.env(f"{origin}/{name}{desk.vendor.base}")
        return answer(pairs)

    async def settings(self, _request: web.Request) -> Reply:
        """Prices, the limits of each vendor's main operation as enforced here, and a gate open to anyone."""
        tables = [_table(name, desk) for name, desk in self.desks.items()]
        return text("\n".join([*tables, ANYONE_APPROVES]), 200, TEXT)

    async def limits(self, _request: web.Request) -> Reply:
        """The limits of every group of operations."""
        return answer(
            {
                name: {group: _limits(gate.quota) for group, gate in desk.vendor.gates.items()}
                for name, desk in self.desks.items()
            },
        )

    async def traffic(self, _request: web.Request) -> Reply:
        """What every group of operations has let in and turned away, and how long it was busy with that."""
        return answer(
            {
                name: {group: _traffic(gate) for group, gate in desk.vendor.gates.items()}
                for name, desk in self.desks.items()
            },
        )

    async def leads(self, _request: web.Request) -> Reply:
        """The campaign; no lead brings an address."""
        return text(delivered(self.world), 200, CSV)

    # -- for tests

    async def truth(self, _request: web.Request) -> Reply:
        """What is true of each lead, in the order of the campaign."""
        return text(truth(self.world), 200, CSV)

    async def summary(self, _request: web.Request) -> Reply:
        """Totals."""
        return answer(self.bill.summary())

    async def billing(self, request: web.Request) -> Reply:
        """Charges after `?after=`."""
        return answer({"rows": list(self.bill.rows(int(request.query.get("after", "0"))))})

    async def requests(self, _request: web.Request) -> Reply:
        """How often each question was asked."""
        return answer({"rows": self.bill.requests()})

    # -- switches

    async def account(self, request: web.Request) -> Reply:
        """Change balance (null: unlimited), key or blocked; what is not named stays."""
        account = self.desk(request.match_info["vendor"]).vendor.account
        wish = await _wish(request)
        if "balance" in wish:
            account.balance = None if wish["balance"] is None else Decimal(str(wish["balance"]))
        account.key = str(wish.get("key", account.key))
        account.blocked = bool(wish.get("blocked", account.blocked))
        left = None if account.balance is None else str(account.balance)
        return answer({"balance": left, "key": account.key, "blocked": account.blocked})

    async def all_faults(self, _request: web.Request) -> Reply:
        """The rules in force, with what is left of their counts."""
        return answer({"faults": [_rule(rule) for rule in self.faults.rules]})

    async def break_something(self, request: web.Request) -> Reply:
        """Add a rule; `count` null means always, `operation` narrows it, `ms` is a wait or a pause."""
        wish = await _wish(request)
        rule = Fault(str(wish.pop("vendor", EVERYBODY)), Kind(wish.pop("kind")))
        if rule.vendor not in {EVERYBODY, WEB}:
            self.desk(rule.vendor)
        self.faults.rules.append(replace(rule, **wish))
        return answer({"faults": [_rule(one) for one in self.faults.rules]})

    async def mend(self, _request: web.Request) -> Reply:
        """Drop every rule."""
        self.faults.rules.clear()
        return answer({"faults": []})

    async def all_variants(self, _request: web.Request) -> Reply:
        """The rare answers of each vendor, and which are on."""
        return answer(
            {
                name: {variant: variant in desk.vendor.on for variant in sorted(desk.vendor.variants)}
                for name, desk in self.desks.items()
            },
        )

    async def switch(self, request: web.Request) -> Reply:
        """A rare answer on or off."""
        wish = await _wish(request)
        vendor, name = self.desk(str(wish["vendor"])).vendor, str(wish["name"])
        if name not in vendor.variants:
            raise ValueError(f"{vendor.name} has no variant {name}; it has {sorted(vendor.variants)}")
        (vendor.on.add if wish.get("on", True) else vendor.on.discard)(name)
        return answer({"vendor": vendor.name, "on": sorted(vendor.on)})

    async def hold_to(self, request: web.Request) -> Reply:
        """Other limits for a group of operations; those that are not named are lifted."""
        wish = await _wish(request)
        vendor, group = self.desk(str(wish.pop("vendor"))).vendor, str(wish.pop("group", "default"))
        quota = Quota(**wish)
        vendor.gates.setdefault(group, Gate(quota)).hold_to(quota)
        return answer({"vendor": vendor.name, group: _limits(quota)})

    async def latency(self, request: web.Request) -> Reply:
        """How long a vendor thinks; `web` is the companies' sites, `*` everybody."""
        wish = await _wish(request)
        name, seconds = str(wish["vendor"]), float(wish["ms"]) / 1_000
        lines = [*self.desks.values(), self.sites] if name == EVERYBODY else [self.line(name)]
        for line in lines:
            line.latency_s = seconds
        return answer({"vendor": name, "ms": wish["ms"]})

    def line(self, name: str) -> Desk | Sites:
        """A vendor, or the web."""
        return self.sites if name == WEB else self.desk(name)

    def desk(self, name: str) -> Desk:
        """A vendor by name."""
        if name not in self.desks:
            raise ValueError(f"no vendor {name}; there are {list(self.desks)}")
        return self.desks[name]


Page = Callable[[web.Request], Awaitable[Reply]]


def _careful(page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        try:
            return (await page(request)).response()
        except (ValueError, KeyError, TypeError, InvalidOperation) as wrong:
            return answer({"error": str(wrong)}, 400).response()

    return serve


async def _wish(request: web.Request) -> dict[str, Any]:
    wish = await request.json()
    if not isinstance(wish, dict):
        raise TypeError("a JSON object is needed")
    return wish


ANYONE_APPROVES = '[approval]\napprovers = ["*"]\n'  # no real person hears of it, and no money was spent


def _table(name: str, desk: Desk) -> str:
    lines = [f"[providers.{name}]", f'price_usd = "{desk.vendor.account.price}"']
    gate = desk.vendor.gates.get("default")
    limits = _limits(gate.quota) if gate is not None else {}
    reads = desk.vendor.gates.get("read")
    if reads is not None and reads.quota.per_minute is not None:
        limits["reads_per_minute"] = reads.quota.per_minute
    lines += [f"{limit} = {value}" for limit, value in limits.items()]
    return "\n".join(lines) + "\n"


def _limits(quota: Quota) -> dict[str, int]:
    limits = {
        "per_second": quota.per_second,
        "per_minute": quota.per_minute,
        "per_hour": quota.per_hour,
        "per_day": quota.per_day,
        "in_flight": quota.in_flight,
    }
    return {name: limit for name, limit in limits.items() if limit is not None}


def _traffic(gate: Gate) -> dict[str, float]:
    return {"let_in": gate.let_in, "turned_away": gate.turned_away, "busy_s": gate.busy_s}


def _rule(rule: Fault) -> dict[str, object]:
    return {
        "vendor": rule.vendor,
        "kind": rule.kind.value,
        "count": rule.count,
        "probability": rule.probability,
        "after": rule.after,
        "operation": rule.operation,
        "ms": rule.ms,
    }
