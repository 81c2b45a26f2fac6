"""ZoomInfo, GTM API: what its questions have in common (docs.zoominfo.com)."""

from typing import Any

from phase3_core.calls import Role
from phase3_core.tiers import Topic
from resources.providers.answers import Problem, Remedy, by_status
from resources.providers.enrichers.zoominfo_token import CLIENT, GTM
from resources.providers.reading import text_at
from resources.providers.request import Request, post
from resources.providers.response import Response, told_to_wait
from resources.providers.signing import TOKEN, Secrets, Signature
from resources.providers.spec import Choice, Operation, ProviderSpec

MEDIA = "application/vnd.api+json"
REMEDIES = {
    "ZI0001": Remedy.BAD_KEY,
    "ZI0002": Remedy.NOT_IN_PLAN,
    "ZI0003": Remedy.NOT_IN_PLAN,
    "ZI0004": Remedy.RATE_LIMITED,
    "PFAPI0007": Remedy.DOWN,
    "PFAPI0010": Remedy.DOWN,
    "PFAPI0011": Remedy.OUT_OF_CREDITS,
}


def enrich(what: str, kind: str, **attributes: Any) -> Request:
    return post(f"/gtm/data/v1/{what}/enrich", data={"type": kind, "attributes": attributes})


def problem(response: Response) -> Problem | None:
    """Both published envelopes; used-up credits come as a 400."""
    code = text_at(response.body, "error", "code") or text_at(response.body, "errors", 0, "code")
    told = text_at(response.body, "error", "message") or text_at(response.body, "detail")
    if remedy := REMEDIES.get(code):
        return Problem(remedy, f"{code}: {told}", told_to_wait(response))
    return by_status(response)


def sign(secrets: Secrets) -> Signature:
    return Signature({"Authorization": f"Bearer {secrets[TOKEN]}", "Accept": MEDIA, "Content-Type": MEDIA})


def spec(topics: frozenset[Topic], question: str, operation: Operation, **more: Any) -> ProviderSpec:
    return ProviderSpec(
        name="zoominfo",
        role=Role.ENRICHER,
        base_url="https://api.zoominfo.com",
        operations=(operation,),
        secrets=CLIENT,
        sign=sign,
        problem=problem,
        topics=topics,
        question=question,
        choice=Choice("ZOOMINFO_API", "gtm"),
        token=GTM,
        **more,
    )
