"""The way to one vendor: where it is, how requests are signed, and what must never be written down."""

from itertools import chain
from typing import Protocol

from resources.http_client import Received, Sending
from resources.providers.keys import Keys, spellings, without
from resources.providers.request import Request
from resources.providers.response import Response
from resources.providers.signing import TOKEN, Signature
from resources.providers.spec import ProviderSpec
from resources.providers.tokens import TokenDesk

UNAUTHORISED = 401


class Transport(Protocol):
    async def send(self, sending: Sending) -> Received: ...


class Channel:
    """Signs and sends. With `tokens`, a request that is refused as unauthorised is sent with a new one."""

    def __init__(
        self,
        spec: ProviderSpec,
        secrets: Keys,
        base_url: str,
        transport: Transport,
        tokens: TokenDesk | None = None,
    ) -> None:
        self._spec = spec
        self._secrets = secrets
        self._base_url = base_url
        self._transport = transport
        self._tokens = tokens
        self._signature = Signature() if tokens else spec.sign(secrets)
        credentials = self._signature.headers.get("Authorization", "").rpartition(" ")[2]
        self._hidden = [*spellings([credentials]), *secrets.hidden]

    async def send(self, request: Request, timeout_s: float) -> Response:
        """Raises NotSent, Lost, NoToken."""
        if self._tokens is None:
            return await self.send_signed(request, self._signature, timeout_s)
        token = await self._tokens.token()
        response = await self.send_signed(request, self._signed_by(token), timeout_s)
        if response.status != UNAUTHORISED:
            return response
        renewed = await self._tokens.token(refused=token)
        return await self.send_signed(request, self._signed_by(renewed), timeout_s)

    def _signed_by(self, token: str) -> Signature:
        return self._spec.sign({**self._secrets, TOKEN: token})

    async def send_signed(self, request: Request, signature: Signature, timeout_s: float) -> Response:
        sending = Sending(
            method=request.method,
            url=self._base_url + request.path,
            query={**request.query, **signature.query},
            headers=signature.headers,
            body={**request.body, **signature.body} if signature.body else request.body,
            form=request.form,
            timeout_s=timeout_s,
        )
        received = await self._transport.send(sending)
        return Response(received.status, self.redacted(received.text), received.headers, request)

    def redacted(self, text: str) -> str:
        """A vendor that echoes the key must not bring it into ledger, leads or logs."""
        token = [self._tokens.value] if self._tokens and self._tokens.value else []
        return without(chain(self._hidden, token), text)
