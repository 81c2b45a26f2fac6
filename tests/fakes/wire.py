"""A wire to PostgreSQL that breaks when told to: at a statement, before or after the server has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from sqlalchemy import URL

from resources.postgres.database import driver_url

STATEMENT = (b"P", b"B", b"Q")  # how a message begins: parse, bind, a simple query
READY = (b"Z\x00\x00\x00\x05I", b"Z\x00\x00\x00\x05T", b"Z\x00\x00\x00\x05E")  # how an answer ends
CHUNK = 2**20

End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cut(Enum):
    """When the wire breaks; in each case the client hears nothing."""

    BEFORE = auto()  # the server never gets the statement
    DURING = auto()  # the server does it while the client tries again
    AFTER = auto()  # the server has done it
    LATE = auto()  # the server gets it at `deliver`


@dataclass(eq=False)
class Connection:
    client: End
    server: End
    deaf: bool = False  # the client gets no answers any more
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, chunk: bytes) -> None:
        """Until the server has done it."""
        self.deaf = True
        self.answered.clear()
        self.server[1].write(chunk)
        await self.answered.wait()

    async def carry_answers(self) -> None:
        while chunk := await self.server[0].read(CHUNK):
            if not self.deaf:
                self.client[1].write(chunk)
            if chunk.endswith(READY):
                self.answered.set()
        self.answered.set()
        self.hang_up()

    def hang_up(self) -> None:
        self.deaf = True
        self.client[1].transport.abort()


@dataclass
class Wire:
    """`cuts`: what happens to which statement, counted from 1 over all connections."""

    upstream: URL
    url: str = ""
    cuts: dict[int, Cut] = field(default_factory=dict)
    statements: int = 0
    down: bool = False  # nobody answers
    _open: set[Connection] = field(default_factory=set)
    _late: list[tuple[Connection, bytes]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def go_down(self) -> None:
        self.down = True
        for connection in self._open:
            connection.hang_up()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            writer.transport.abort()
            return
        host, port = self.upstream.query["host"], self.upstream.query.get("port", "5432")
        server = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        connection = Connection((reader, writer), server)
        self._open.add(connection)
        for work in (connection.carry_answers(), self._carry_statements(connection)):
            self._tasks.add(asyncio.create_task(work))

    async def _carry_statements(self, connection: Connection) -> None:
        try:
            while chunk := await connection.client[0].read(CHUNK):
                if cut := self._cut(chunk):
                    await self._strike(cut, connection, chunk)
                else:
                    connection.server[1].write(chunk)
        except ConnectionError:
            pass  # the client hung up, or the wire was cut
        if not any(connection is late for late, _ in self._late):
            connection.server[1].close()

    def _cut(self, chunk: bytes) -> Cut | None:
        self.statements += chunk.startswith(STATEMENT)
        return self.cuts.pop(self.statements, None) if chunk.startswith(STATEMENT) else None

    async def _strike(self, cut: Cut, connection: Connection, chunk: bytes) -> None:
        if cut is Cut.AFTER:
            await connection.ask(chunk)
        connection.hang_up()
        if cut is Cut.DURING:
            await connection.ask(chunk)
        elif cut is Cut.LATE:
            self._late.append((connection, chunk))

    async def deliver(self) -> None:
        """What was late arrives now, and is done."""
        late, self._late = self._late, []
        for connection, chunk in late:
            await connection.ask(chunk)
            connection.server[1].close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def wire(database_url: str) -> AsyncIterator[Wire]:
    """To a server behind a unix socket; TCP on this side."""
    upstream = driver_url(database_url)
    carried = Wire(upstream)
    async with await asyncio.start_server(carried.accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        here = upstream.set(
            host="127.0.0.1", port=port, query={"sslmode": "disable", "gssencmode": "disable"}
        )
        carried.url = here.render_as_string(hide_password=False)
        try:
            yield carried
        finally:
            await carried.close()
