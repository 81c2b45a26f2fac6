"""Icypeas's bulk searches: files of at most a hundred rows, so that one reading tells a whole file.

Every reading counts against the same thirty a minute, of one search or of a file (api-doc.icypeas.com).
"""

import json
from collections.abc import Sequence

from resources.providers.answers import Pending, Problem, Remedy
from resources.providers.gate import Limits
from resources.providers.reading import dig, items_at, text_at, whole_number_at
from resources.providers.request import Request, post
from resources.providers.response import Response
from resources.providers.signing import key_in_header
from resources.providers.spec import Bulk, Listing

GOING = frozenset(("NONE", "SCHEDULED", "IN_PROGRESS"))
CELLS = ("firstname", "lastname", "domainOrCompany")
ROWS, FILES = 100, 50  # as many as one reading tells, and as one listing, newest first
FILE = "file:"  # before a file's number, which is no search's


def in_bulk(name: str, asked: Sequence[Request]) -> Request:
    rows = [[one.body.get(cell, "") for cell in CELLS] for one in asked]
    ids = [row_of(one) for one in asked]
    return post("/bulk-search", name=name, task="email-search", data=rows, custom={"externalIds": ids})


def read_file_id(response: Response) -> Pending | Problem:
    task = _task(text_at(response.body, "file"))
    return Pending(task) if task else Problem(Remedy.NONSENSE, "no file in the answer")


def file_named(response: Response, name: str) -> str:
    """The vendor documents the list and not its fields, so a file's number is read under either name."""
    ours = [one for one in items_at(response.body, "files") if text_at(one, "name") == name]
    return _task(text_at(ours, 0, "file") or text_at(ours, 0, "_id"))


def _task(number: str) -> str:
    return FILE + number if number and number.isprintable() else ""


def look(task: str) -> Request:
    return post("/bulk-single-searchs/read", mode="bulk", file=task.removeprefix(FILE), limit=ROWS)


def file_state(response: Response) -> Pending | Problem | None:
    """Done when every row is told and none is pending. What cannot be understood is read again."""
    items = dig(response.body, "items")
    if not isinstance(items, list):
        unknown = "SearchNotFound" in response.text
        return Problem(Remedy.DOWN, "the vendor does not know the file") if unknown else Pending("")
    statuses = [text_at(item, "status") for item in items]
    every = len(items) >= (whole_number_at(response.body, "total") or 0) and all(statuses)
    return None if items and every and GOING.isdisjoint(statuses) else Pending("")


def item_of(response: Response, asked: Request) -> Response:
    """As reading the single search would have answered."""
    items = items_at(response.body, "items")
    mine = [item for item in items if text_at(item, "userData", "externalId") == row_of(asked)]
    return Response(200, json.dumps({"success": True, "items": mine[:1]}), request=asked)


def row_of(asked: Request) -> str:
    return str(asked.body["custom"]["externalId"])


# A row that the vendor aborted is searched again singly, as an aborted single search is.
BULK = Bulk(
    ask=in_bulk,
    read=read_file_id,
    look=look,
    state=file_state,
    part=item_of,
    row=row_of,
    sign=key_in_header("Authorization", "ICYPEAS_API_KEY"),
    size=ROWS,
    prefix=FILE,
    limits=Limits(per_second=1),
    again=frozenset((Remedy.DOWN,)),
    listing=Listing(post("/search-files/read", limit=FILES), file_named),
    timeout_s=60.0,
)
