"""A vendor's short-lived token, shared by all of its questions."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from resources.http_client import Lost, NotSent, Received, Sending
from resources.providers.answers import Problem, Remedy
from resources.providers.keys import Keys, without
from resources.providers.response import Response
from resources.providers.signing import Token, TokenGrant

EARLY_S = 60.0  # renewed so long before its end, or after half of a life that is too short for that
TIMEOUT_S = 30.0


class NoToken(Exception):
    """The vendor refuses a token, so nothing that it bills was asked."""

    def __init__(self, response: Response, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.response = response
        self.problem = problem


@dataclass
class TokenDesk:
    """Renews early, one renewal at a time; whoever needs the token meanwhile waits for it."""

    grant: TokenGrant
    secrets: Keys
    base_url: str
    send: Callable[[Sending], Awaitable[Received]]
    monotonic: Callable[[], float]
    value: str = field(default="", repr=False)
    _renew_at: float = 0.0
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def token(self, refused: str = "") -> str:
        """One that is good for a while yet, and not the one that was refused.

        Raises NoToken, and NotSent where the vendor's trouble may pass.
        """
        async with self._renewing:
            if self.value in {"", refused} or self.monotonic() >= self._renew_at:
                self._keep(await self._granted())
            return self.value

    def _keep(self, token: Token) -> None:
        self.value = token.value
        self._renew_at = self.monotonic() + max(token.lasts_s - EARLY_S, token.lasts_s / 2)

    async def _granted(self) -> Token:
        response = await self._answered()
        match self.grant.read(response):
            case Token() as token:
                return token
            case Problem(Remedy.DOWN | Remedy.NONSENSE, detail):
                raise NotSent(f"no token: {detail}")
            case problem:
                raise NoToken(response, problem)

    async def _answered(self) -> Response:
        request, signature = self.grant.ask(self.secrets), self.grant.sign(self.secrets)
        sending = Sending(
            method=request.method,
            url=self.base_url + request.path,
            query={**request.query, **signature.query},
            headers=signature.headers,
            body=request.body,
            form=request.form,
            timeout_s=TIMEOUT_S,
        )
        try:
            received = await self.send(sending)
        except Lost as failure:
            raise NotSent(f"no token: {failure}") from None
        return Response(received.status, without(self.secrets.hidden, received.text), received.headers)
