"""A body of unknown size and honesty."""

import zlib

import aiohttp

from resources.web.outcome import Outcome
from resources.web.visit import StoppedError


class Body:
    """A body read and unpacked up to its caps, whatever the headers promised."""

    def __init__(self, raw_cap: int, decoded_cap: int, encoding: str) -> None:
        self.raw = 0
        self.decoded = bytearray()
        self._raw_cap = raw_cap
        self._decoded_cap = decoded_cap
        self._unpacker = zlib.decompressobj(wbits=31) if encoding.endswith("gzip") else None

    async def read(self, response: aiohttp.ClientResponse) -> bool:
        """Whether all of it fitted."""
        async for chunk in response.content.iter_any():
            self.raw += len(chunk)
            self.decoded += self._unpacked(chunk)
            if self.raw > self._raw_cap or len(self.decoded) > self._decoded_cap:
                del self.decoded[self._decoded_cap :]
                return False
        return True

    def _unpacked(self, chunk: bytes) -> bytes:
        """At most one byte more than there is room for: enough to know, never a bomb in memory."""
        if self._unpacker is None:
            return chunk
        try:
            return self._unpacker.decompress(chunk, self._decoded_cap - len(self.decoded) + 1)
        except zlib.error:
            raise StoppedError(Outcome.WRONG_TYPE, "broken gzip") from None
