"""Google's Sheets and Drive through gspread: signing in, patience with quotas, refusals in words.

The one exporter that speaks HTTP itself: gspread sends with `requests`, after google-auth has signed in.
Imported only where a spreadsheet is written, because the library is an extra and takes a third of a second.
"""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gspread
from google.auth.exceptions import GoogleAuthError
from google.oauth2.service_account import Credentials
from gspread.exceptions import APIError, GSpreadException
from gspread.http_client import HTTPClient
from requests import RequestException, Response

from phase3_core.errors import OutsideFailure
from resources.exports.spreadsheet import ExistingTab, SheetsAccount, Tab, replacing

TRIES = 7
LONGEST_WAIT_S = 64.0
TIMEOUT_S = 180.0  # what Google gives a request
SCOPES = ("https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive.file")
GOOGLE = ("https://sheets.googleapis.com", "https://www.googleapis.com")
TRY_LATER = frozenset({429, 500, 502, 503, 504})
FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY = 429
_REMEDIES = {
    400: "it refused the tabs; is the spreadsheet full (10 million cells)?",
    401: "it does not accept the service account's key: make a new one",
    FORBIDDEN: "share the spreadsheet with {who} as editor, and switch on the Sheets and Drive APIs",
    NOT_FOUND: "there is no spreadsheet {place}: check its id in [exports]",
    TOO_MANY: "its quota is used up; export again later",
}


# What gspread raises where an answer, an error with status 200 for one, lacks what it reads.
_NONSENSE = (LookupError, TypeError, AttributeError)
_FAILURES = (GSpreadException, GoogleAuthError, RequestException, OSError, ValueError, *_NONSENSE)


class NotAsSent(GSpreadException):
    """Google said yes, and holds something else."""


class Spreadsheet:
    def __init__(self, book: gspread.Spreadsheet, told: "Refusals") -> None:
        self._book, self._told = book, told

    def replace_tabs(self, ending: str, tabs: Sequence[Tab]) -> None:
        """Tabs whose titles end so go, these come, in one step or not at all."""
        with self._told:
            there = [ExistingTab(tab.id, tab.title) for tab in self._book.worksheets()]
            if requests := replacing(there, ending, tabs):
                self._book.batch_update({"requests": requests})

    def write(self, title: str, first: int, rows: Sequence[Sequence[Any]]) -> None:
        """Below `first` rows; as given, never as a formula."""
        with self._told:
            place = f"'{title}'!A{first + 1}"
            values = [["" if value is None else value for value in row] for row in rows]
            self._book.values_update(place, {"valueInputOption": "RAW"}, {"values": values})

    def check(self, rows: Mapping[str, int], header: str) -> None:
        """Whether each tab begins with the header and goes as far as its rows; read from Google, once."""
        with self._told:
            places = [f"'{title}'!A{row}" for title, last in rows.items() for row in (1, last)]
            told = self._book.values_batch_get(places)["valueRanges"]
            first_and_last = [one.get("values") for one in told]
            if first_and_last[::2] != [[[header]]] * len(rows) or not all(first_and_last):
                raise NotAsSent

    def share(self, readers: Sequence[str], *, public: bool) -> None:
        with self._told:
            for reader in readers:
                self._book.share(reader, perm_type="user", role="reader", notify=False)
            if public:
                self._book.share("", perm_type="anyone", role="reader", with_link=True)


def signed_in(
    account: SheetsAccount, place: str, stop: threading.Event, *, patient: bool = True
) -> Spreadsheet:
    """The spreadsheet with the id `place`; raises OutsideFailure in words that say what to do."""
    told = Refusals(place)
    with told:
        credentials = Credentials.from_service_account_file(account.key_file, scopes=SCOPES)  # type: ignore[no-untyped-call] # google-auth leaves it untyped
        told.who = credentials.service_account_email
        client = gspread.Client(
            credentials, http_client=_wire(account.base_url, stop, TRIES if patient else 1)
        )
        return Spreadsheet(client.open_by_key(place), told)


@dataclass
class Refusals:
    """Google's failures as ours. Its own words are not quoted: they may hold what was sent."""

    place: str
    who: str = "the service account"

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, failure: BaseException | None, _trace: object) -> None:
        if isinstance(failure, _FAILURES):
            raise OutsideFailure(f"Google Sheets was not written: {self._remedy(failure)}.") from failure

    def _remedy(self, failure: BaseException) -> str:
        status = _status(failure)
        if status in _REMEDIES:
            return _REMEDIES[status].format(who=self.who, place=self.place)
        if isinstance(failure, GoogleAuthError):
            return "it does not accept the service account's key, or cannot be reached: check key and clock"
        if isinstance(failure, NotAsSent):
            return "what it holds is not what was sent; export again"
        if isinstance(failure, RequestException) or status:
            return "it does not answer; export again later"
        if isinstance(failure, _NONSENSE):
            return "it does not answer as it should; export again later"
        return "the service account's key file cannot be read: GOOGLE_SERVICE_ACCOUNT_FILE names it"


def _status(failure: BaseException | None) -> int:
    """Of the answer, also where the library hides it behind an error of its own."""
    while failure is not None:
        if isinstance(failure, APIError):
            return int(failure.response.status_code)
        failure = failure.__cause__
    return 0


def _wire(base_url: str, stop: threading.Event, tries: int) -> type[HTTPClient]:
    class Wire(HTTPClient):
        """Waits and asks again where Google says later; elsewhere where another base URL is set."""

        def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Response:
            self.set_timeout(TIMEOUT_S)
            for google in GOOGLE if base_url else ():
                endpoint = endpoint.replace(google, base_url)
            for attempt in range(1, tries):
                try:
                    return super().request(method, endpoint, *args, **kwargs)
                except (APIError, RequestException) as failure:
                    if not _is_passing(failure) or stop.wait(_pause_s(failure, attempt)):
                        raise
            return super().request(method, endpoint, *args, **kwargs)

    return Wire


def _is_passing(failure: BaseException) -> bool:
    if not isinstance(failure, APIError):
        return True
    reasons = {row.get("reason") for row in failure.error.get("errors", ()) if isinstance(row, Mapping)}
    limited = bool(reasons & {"rateLimitExceeded", "userRateLimitExceeded"})
    return failure.response.status_code in TRY_LATER or limited


def _pause_s(failure: BaseException, attempt: int) -> float:
    """What Google asks for, else twice as long each time, with some chance in it."""
    told = failure.response.headers.get("Retry-After", "") if isinstance(failure, APIError) else ""
    usual = float(2 ** (attempt - 1)) + random.random()  # noqa: S311 - spreads retries, protects nothing
    return min(float(told) if told.isdigit() else usual, LONGEST_WAIT_S)
