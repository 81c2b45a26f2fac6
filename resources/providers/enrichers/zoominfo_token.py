"""ZoomInfo's tokens: by OAuth for the GTM API, by password for the legacy one; neither takes the other's."""

from base64 import b64encode

from resources.providers.answers import Problem, Remedy, by_status
from resources.providers.reading import text_at, whole_number_at
from resources.providers.request import Request, post, post_form
from resources.providers.response import Response
from resources.providers.signing import Secrets, Signature, Token, TokenGrant, unsigned

CLIENT = ("ZOOMINFO_CLIENT_ID", "ZOOMINFO_CLIENT_SECRET")
USER = ("ZOOMINFO_USERNAME", "ZOOMINFO_PASSWORD")
SCOPE = "api:data:company api:data:contact api:data:intent"
DAY_S = 86_400.0
JWT_S = 3_360.0  # valid for an hour, renewed after 55 minutes


def _ask(_secrets: Secrets) -> Request:
    return post_form("/oauth2/default/v1/token", grant_type="client_credentials", scope=SCOPE)


def _sign(secrets: Secrets) -> Signature:
    client, secret = (secrets[name] for name in CLIENT)
    pair = b64encode(f"{client}:{secret}".encode()).decode()
    return Signature({"Authorization": f"Basic {pair}", "Accept": "application/json"})


def _read(response: Response) -> Token | Problem:
    token = text_at(response.body, "access_token")
    return _given(response, token, float(whole_number_at(response.body, "expires_in") or DAY_S))


def _ask_jwt(secrets: Secrets) -> Request:
    username, password = (secrets[name] for name in USER)
    return post("/authenticate", username=username, password=password)


def _read_jwt(response: Response) -> Token | Problem:
    return _given(response, text_at(response.body, "jwt"), JWT_S)


def _given(response: Response, token: str, lasts_s: float) -> Token | Problem:
    if response.status == 200 and token:
        return Token(token, lasts_s)
    if response.status in {400, 401, 403}:
        return Problem(Remedy.BAD_KEY, text_at(response.body, "error") or f"HTTP {response.status}")
    return by_status(response) or Problem(Remedy.NONSENSE, "no token in the answer")


GTM = TokenGrant(_ask, _sign, _read, "https://okta-login.zoominfo.com")
LEGACY = TokenGrant(_ask_jwt, unsigned, _read_jwt)
