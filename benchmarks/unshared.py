"""`phase3` as if nothing were shared: each lead asks and pays for itself, its company's questions too."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b

from phase3_assets.cli import main
from phase3_core import enrich
from phase3_core.ledger import DIGEST_BYTES, Intent
from resources.providers.client import ProviderClient
from resources.providers.request import Question, Request
from resources.providers.spec import Operation

PART = "_intent"  # of the client, which this program runs without: there leads come to share a question

_shared: Callable[..., Intent] = getattr(ProviderClient, PART)


def _of_its_own(client: ProviderClient, question: Question, operation: Operation, request: Request) -> Intent:
    intent = _shared(client, question, operation, request)
    own = blake2b(intent.question + question.lead.id.bytes, digest_size=DIGEST_BYTES).digest()
    return replace(intent, question=own)


if __name__ == "__main__":
    setattr(ProviderClient, PART, _of_its_own)
    enrich.COMPANIES_REMEMBERED = 0
    main()
