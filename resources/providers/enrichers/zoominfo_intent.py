"""ZoomInfo: which topics a company is reading up on, of those in `ZOOMINFO_INTENT_TOPICS` (by comma)."""

from collections.abc import Iterable
from typing import Any

from phase3_core.calls import Facts, Miss
from phase3_core.tiers import Topic
from resources.providers.answers import Answer, Problem, Remedy
from resources.providers.enrichers import zoominfo
from resources.providers.reading import dig, items_at, text_at, whole_number_at
from resources.providers.request import Question, Request
from resources.providers.response import Response
from resources.providers.spec import Operation

TOPICS = "ZOOMINFO_INTENT_TOPICS"
MOST_TOPICS = 50
MOST_SIGNALS = 10


def wanted(question: Question) -> list[str]:
    """What the vendor calls the topics that one sells to; without any there is nothing to ask."""
    names = (" ".join(name.split()) for name in question.options.get(TOPICS, "").split(","))
    return list(dict.fromkeys(name for name in names if name))[:MOST_TOPICS]


def by_website(question: Question) -> Request | None:
    """People who could be written to are not asked for."""
    domain, topics = question.lead.company_domain, wanted(question)
    if not (domain and topics):
        return None
    return zoominfo.enrich(
        "intent", "IntentEnrich", companyWebsite=domain, topics=topics, findRecommendedContacts=False
    )


def read(response: Response) -> Answer:
    """An empty list is an answer: no signal."""
    if not isinstance(dig(response.body, "data"), list):
        return Problem(Remedy.NONSENSE, "no list of signals in the answer")
    return answer(dig(item, "attributes") for item in items_at(response.body, "data"))


def answer(signals: Iterable[Any]) -> Answer:
    told = [_signal(signal) for signal in signals if text_at(signal, "topic")]
    return Facts({"intent": told[:MOST_SIGNALS]}) if told else Miss()


def _signal(signal: Any) -> dict[str, Any]:
    return {
        "topic": text_at(signal, "topic"),
        "category": text_at(signal, "category"),
        "score": whole_number_at(signal, "signalScore"),
        "audience_strength": text_at(signal, "audienceStrength"),
        "at": text_at(signal, "signalDate"),
    }


SPEC = zoominfo.spec(
    frozenset({Topic.INTENT}),
    "intent",
    Operation("intent-enrich", by_website, read),
    per_company=True,
    options={TOPICS: ""},
)
