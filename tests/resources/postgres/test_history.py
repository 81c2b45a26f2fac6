"""The ledger as a replay reads it."""

from collections.abc import Callable
from uuid import uuid4

from resources.postgres.database import PostgresBooks
from resources.postgres.history import LedgerHistory

BookCall = Callable[..., None]

MORE_THAN_PARAMETERS = 2**16  # a statement of PostgreSQL's takes at most one fewer


async def test_the_calls_of_however_many_leads_are_read_at_once(
    books: PostgresBooks, book_call: BookCall
) -> None:
    ids = [uuid4() for _ in range(MORE_THAN_PARAMETERS)]
    book_call(uuid4(), ids[-1])
    book_call(uuid4(), uuid4())
    history = LedgerHistory(books.engine)
    await history.load(ids)
    assert [row["lead_id"] for row in history.loaded.values()] == [ids[-1]]
