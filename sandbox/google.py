"""Google's Sheets and Drive: sign-in, tabs, values, permissions; one spreadsheet, in memory.

Not a vendor: nothing is billed. What it refuses is put in a queue through `POST /google/refusals`.
"""

import base64
import binascii
import json
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import unquote

from aiohttp import web

SPREADSHEET = "phase3-sandbox-spreadsheet"
ACCOUNT = "exporter@sandbox.example"
TOKEN = "sandbox-access-token"  # noqa: S105 - opens nothing but this sandbox
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
NEEDED_SCOPE = "https://www.googleapis.com/auth/spreadsheets"
MOST_CELLS = 10_000_000
LONGEST_TEXT = 50_000
_RANGE = re.compile(r"'((?:[^']|'')+)'!A(\d+)")
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Refused(Exception):
    def __init__(self, status: int, message: str, retry_after: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"Retry-After": retry_after} if retry_after else {}


@dataclass
class Tab:
    id: int
    title: str
    rows: int = 1_000
    columns: int = 26
    frozen: int = 0
    values: dict[int, list[Any]] = field(default_factory=dict)  # by row, from 0
    rules: list[dict[str, Any]] = field(default_factory=list)
    filtered: bool = False
    bold: bool = False

    def grid(self) -> list[list[Any]]:
        return [self.values.get(row, []) for row in range(max(self.values, default=-1) + 1)]

    def told(self) -> dict[str, Any]:
        grid = {"rowCount": self.rows, "columnCount": self.columns, "frozenRowCount": self.frozen}
        return {"properties": {"sheetId": self.id, "title": self.title, "index": 0, "gridProperties": grid}}


class Google:
    """`refusals`: answers that the next requests to Sheets or Drive get instead; (status, Retry-After).

    `loses_last_rows`: says yes to values, and keeps all but the last row.
    """

    def __init__(self) -> None:
        self.tabs: dict[int, Tab] = {0: Tab(0, "Notes")}
        self.permissions: list[dict[str, Any]] = []
        self.refusals: deque[tuple[int, str]] = deque()
        self.requests: list[tuple[str, str]] = []
        self.sign_ins = 0
        self.refuses_sign_in = False
        self.loses_last_rows = False

    def routes(self) -> list[web.RouteDef]:
        book = "/google/v4/spreadsheets/{id}"
        return [
            web.post("/google/refusals", self.refuse),
            web.post("/google/token", self.token),
            web.get(book, self.careful(self.metadata)),
            web.post(book + ":batchUpdate", self.careful(self.batch_update)),
            web.put(book + "/values/{range}", self.careful(self.update_values)),
            web.get(book + "/values/{range}", self.careful(self.read_values)),
            web.get(book + "/values:batchGet", self.careful(self.read_cells)),
            web.post("/google/drive/v3/files/{id}/permissions", self.careful(self.share)),
        ]

    async def refuse(self, request: web.Request) -> web.Response:
        """`[{"status": 429, "retry_after": "1"}, …]`"""
        for one in await request.json():
            self.refusals.append((int(one["status"]), str(one.get("retry_after", ""))))
        return web.json_response({})

    async def token(self, request: web.Request) -> web.Response:
        """The signature is not checked: the sandbox has no key to check it by."""
        self.sign_ins += 1
        form = await request.post()
        claims = _claims(str(form.get("assertion", "")))
        known = form.get("grant_type") == GRANT and claims.get("iss") == ACCOUNT
        fresh = int(claims.get("exp", 0)) > time.time()
        if self.refuses_sign_in or not (known and fresh and NEEDED_SCOPE in str(claims.get("scope")).split()):
            return web.json_response(
                {"error": "invalid_grant", "error_description": "Invalid JWT"}, status=400
            )
        return web.json_response({"access_token": TOKEN, "expires_in": 3_599, "token_type": "Bearer"})

    def careful(self, handler: Handler) -> Handler:
        """Signed, not refused, of the one spreadsheet; failures in Google's form."""

        async def handle(request: web.Request) -> web.Response:
            self.requests.append((request.method, request.path))
            try:
                self._admit(request)
                return await handler(request)
            except Refused as refusal:
                return _failure(refusal)

        return handle

    def _admit(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "Request had invalid authentication credentials.")
        if self.refusals:
            status, wait = self.refusals.popleft()
            raise Refused(status, "Try again.", wait)
        if request.match_info["id"] != SPREADSHEET:
            raise Refused(404, "Requested entity was not found.")

    async def metadata(self, _request: web.Request) -> web.Response:
        sheets = [tab.told() for tab in self.tabs.values()]
        told = {"spreadsheetId": SPREADSHEET, "properties": {"title": "Campaigns"}, "sheets": sheets}
        return web.json_response(told)

    async def batch_update(self, request: web.Request) -> web.Response:
        """All of it or nothing."""
        before = deepcopy(self.tabs)
        try:
            replies = [self._do(one) for one in (await request.json())["requests"]]
            self._weigh()
        except Refused:
            self.tabs = before
            raise
        return web.json_response({"spreadsheetId": SPREADSHEET, "replies": replies})

    def _weigh(self) -> None:
        if sum(tab.rows * tab.columns for tab in self.tabs.values()) > MOST_CELLS:
            raise Refused(400, "This action would increase the number of cells above the limit.")

    def _do(self, request: Mapping[str, Any]) -> dict[str, Any]:
        ((name, body),) = request.items()
        act = self._ACTS.get(name)
        if act is None:
            raise Refused(400, f"Invalid request: {name}")
        return act(self, body)

    def _add(self, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = body["properties"]
        grid = asked.get("gridProperties", {})
        number = asked.get("sheetId", max(self.tabs) + 1)
        if number in self.tabs or asked["title"] in {tab.title for tab in self.tabs.values()}:
            raise Refused(400, "A sheet with this id or name already exists.")
        tab = Tab(
            number,
            asked["title"],
            grid.get("rowCount", 1_000),
            grid.get("columnCount", 26),
            grid.get("frozenRowCount", 0),
        )
        if tab.frozen >= tab.rows:
            raise Refused(400, "You can't freeze all visible rows on the sheet.")
        self.tabs[number] = tab
        return {"addSheet": tab.told()}

    def _delete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if len(self.tabs) == 1:
            raise Refused(400, "You can't remove all the sheets in a document.")
        self._tab(body["sheetId"])
        del self.tabs[body["sheetId"]]
        return {}

    def _rename(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._tab(body["properties"]["sheetId"]).title = body["properties"]["title"]
        return {}

    def _filter(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._tab(body["filter"]["range"]["sheetId"]).filtered = True
        return {}

    def _format(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._tab(body["range"]["sheetId"]).bold = True
        return {}

    def _rule(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._tab(body["rule"]["ranges"][0]["sheetId"]).rules.append(body["rule"])
        return {}

    def _tab(self, number: int) -> Tab:
        if number not in self.tabs:
            raise Refused(400, f"No grid with id: {number}")
        return self.tabs[number]

    _ACTS: ClassVar[Mapping[str, Callable[["Google", Mapping[str, Any]], dict[str, Any]]]] = {
        "addSheet": _add,
        "deleteSheet": _delete,
        "updateSheetProperties": _rename,
        "setBasicFilter": _filter,
        "repeatCell": _format,
        "addConditionalFormatRule": _rule,
    }

    async def update_values(self, request: web.Request) -> web.Response:
        tab, first = self._place(unquote(request.match_info["range"]))
        rows = (await request.json())["values"]
        raw = request.query.get("valueInputOption") == "RAW"
        if first + len(rows) > tab.rows or any(len(row) > tab.columns for row in rows):
            raise Refused(400, "Range exceeds grid limits.")
        if any(isinstance(value, str) and len(value) > LONGEST_TEXT for row in rows for value in row):
            raise Refused(400, "Your input contains more than the maximum of 50000 characters.")
        kept = rows[:-1] if self.loses_last_rows else rows
        for number, row in enumerate(kept, start=first):
            tab.values[number] = [value if raw else _entered(value) for value in row]
        return web.json_response({"spreadsheetId": SPREADSHEET, "updatedRows": len(rows)})

    async def read_values(self, request: web.Request) -> web.Response:
        tab, first = self._place(unquote(request.match_info["range"]))
        return web.json_response({"majorDimension": "ROWS", "values": tab.grid()[first:]})

    async def read_cells(self, request: web.Request) -> web.Response:
        """A cell of column A for each range; one that is empty has no `values`."""
        places = request.query.getall("ranges")
        cells = [(place, self._cell(place)) for place in places]
        ranges = [{"range": place} | ({"values": [[value]]} if value else {}) for place, value in cells]
        return web.json_response({"spreadsheetId": SPREADSHEET, "valueRanges": ranges})

    def _cell(self, place: str) -> Any:
        tab, row = self._place(place)
        return next(iter(tab.values.get(row, [])), "")

    def _place(self, place: str) -> tuple[Tab, int]:
        """The tab and the number of the row, from 0."""
        found = _RANGE.fullmatch(place)
        title = found[1].replace("''", "'") if found else ""
        tab = next((tab for tab in self.tabs.values() if tab.title == title), None)
        if found is None or tab is None:
            raise Refused(400, "Unable to parse range.")
        return tab, int(found[2]) - 1

    async def share(self, request: web.Request) -> web.Response:
        self.permissions.append(await request.json())
        return web.json_response({"id": str(len(self.permissions)), **self.permissions[-1]})


def _entered(value: Any) -> Any:
    """As if a person had typed it: what begins with a sign becomes a formula."""
    return {"formula": value} if isinstance(value, str) and value[:1] in "=+-@" and value else value


def _claims(assertion: str) -> dict[str, Any]:
    try:
        _, body, _ = assertion.split(".")
        told = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return told if isinstance(told, dict) else {}


def _failure(refusal: Refused) -> web.Response:
    status = refusal.status
    error = {"code": status, "message": str(refusal), "status": _WORDS.get(status, "UNKNOWN"), "details": []}
    return web.json_response({"error": error}, status=status, headers=refusal.headers)
