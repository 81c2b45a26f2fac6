"""Whatever a vendor sends, every reader of the catalogue gives a typed answer and never raises."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase3_core.calls import Facts, Hit, Judgement, Miss, Role
from resources.providers.answers import Pending, Problem
from resources.providers.catalogue import CATALOGUE, Row
from resources.providers.enrichers import apollo, apollo_people
from resources.providers.finders import icypeas
from resources.providers.request import Question, Request
from resources.providers.response import Response
from resources.providers.signing import Token
from resources.providers.spec import ProviderSpec
from resources.providers.verifiers import reoon
from tests.resources.providers.sheet import DANA, EMAIL, ICYPEAS, SUCCESSES, lead
from tests.resources.providers.test_enrichers import SAMPLES, SEARCHED

ANSWERS = {
    Role.FINDER: Hit | Miss | Pending | Problem,
    Role.VERIFIER: Judgement | Miss | Pending | Problem,
    Role.ENRICHER: Facts | Miss | Pending | Problem,
}
STATUSES = [200, 200, 200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 408, 422, 423, 429, 500, 503]
WORDS = [
    EMAIL,
    "@",
    "a@b",
    "error",
    "busy",
    "credit",
    "valid",
    "safe",
    "DELIVERABLE",
    "DEBITED",
    "IN_PROGRESS",
    "SearchNotFoundError",
    "UnpaidSubscriptionError",
    "1e999",
    "\x00",
    "\ud800",
    "acme.example",
]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=12)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -1, 0, 2**63, float("nan"), float("inf")])
JUNK = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
NO_JSON = st.text(max_size=40) | st.sampled_from(
    [
        "",
        "[" * 100_000,
        "[" * 500 + "]" * 500,
        "<html></html>",
        "nul",
        "NaN",
        '"\\ud800"',
        "\ufeff{}",
        "9" * 5000,
    ]
)
ODD = st.text(st.characters(codec="latin-1"), max_size=20) | st.sampled_from(
    [
        "7",
        "-7",
        "0.5",
        "9" * 300,
        "1790000000",
        "²",
        "٣",
        "soon",
        "Mon, 21 Sep 2026 14:13:20 GMT",
        "2026-09-21",
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-reset", "date", "x-ratelimit-remaining", "content-type"]),
    ODD,
)
PEOPLE = [
    DANA,
    lead(email=EMAIL),
    lead(last_name="", company_domain=""),
    lead(first_name="", last_name="", linkedin_url=DANA.linkedin_url),
    lead(first_name="\x00", last_name="\ud800", company_name="Ünïcødé GmbH"),
]

Path = tuple[Any, ...]


def places(body: Any, path: Path = ()) -> list[Path]:
    """Every place in a body, itself included."""
    children = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [path, *(place for name, child in children for place in places(child, (*path, name)))]


def changed(body: Any, path: Path, junk: Any) -> Any:
    """The body with something else at one place; Ellipsis takes it away."""
    if not path:
        return None if junk is ... else junk
    copy = list(body) if isinstance(body, list) else dict(body)
    if junk is ... and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(body[path[0]], path[1:], junk)
    return copy


@st.composite
def spoiled(draw: st.DrawFn, sample: Any) -> Any:
    """A success with something else at up to three places."""
    for _ in range(draw(st.integers(1, 3))):
        sample = changed(sample, draw(st.sampled_from(places(sample))), draw(JUNK | st.just(...)))
    return sample


def texts(sample: Any) -> st.SearchStrategy[str]:
    return (spoiled(sample) | JUNK).map(json.dumps) | NO_JSON


def sample_of(row: Row) -> Any:
    samples: Mapping[str, Any] = {**SUCCESSES, **SAMPLES}
    return samples.get(row.spec.label, SEARCHED)


@st.composite
def responses(draw: st.DrawFn, row: Row, request: Request | None) -> Response:
    status = draw(st.sampled_from(STATUSES) | st.integers(100, 599))
    return Response(status, draw(texts(sample_of(row))), draw(HEADERS), request)


every_row = pytest.mark.parametrize(
    "row", CATALOGUE, ids=[f"{row.spec.label}-{number}" for number, row in enumerate(CATALOGUE)]
)
quickly = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@every_row
@quickly
@given(data=st.data())
def test_every_answer_is_read(row: Row, data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(list(row.spec.operations)))
    request = operation.ask(Question(data.draw(st.sampled_from(PEOPLE)), EMAIL, row.spec.options))
    response = data.draw(responses(row, request))
    problem = row.spec.problem(response)
    assert problem is None or typed(problem)
    readers = [operation.read, *([operation.poll.read] if operation.poll else [])]
    for read in readers:
        answer = read(response)
        assert isinstance(answer, ANSWERS[row.spec.role])
        assert typed(answer)
        assert operation.poll is not None or not isinstance(answer, Pending)
    charged = operation.credits(response) if operation.credits else None
    assert charged is None or (isinstance(charged, Decimal) and charged.is_finite() and charged >= 0)


def typed(answer: object) -> bool:
    """Whether the parts of an answer are of the types they say."""
    match answer:
        case Hit(email, confidence):
            return "@" in email and email.isprintable() and isinstance(confidence, int | None)
        case Judgement(_, _, score):
            return isinstance(score, int | None)
        case Problem(_, detail, wait_s):
            return isinstance(detail, str) and (wait_s is None or wait_s >= 0)
        case Pending(job_id):
            return isinstance(job_id, str)
        case Facts(fields):
            return bool(json.dumps(dict(fields)))
    return isinstance(answer, Miss)


TASK = {"task_id": "4242", "status": "completed", "count_total": 1, "results": {EMAIL: {"status": "safe"}}}


TASKS = [
    (reoon.SPEC, TASK, {"status": "success", "task_id": 4242}),
    (icypeas.SPEC, ICYPEAS, {"success": True, "file": "f1", "status": "in_progress"}),
]


@pytest.mark.parametrize(("spec", "task", "taken"), TASKS, ids=["reoon", "icypeas"])
@quickly
@given(data=st.data())
def test_every_task_is_read(spec: ProviderSpec, task: Any, taken: Any, data: st.DataObject) -> None:
    operation = spec.operations[0]
    request = operation.ask(Question(DANA, EMAIL))
    bulk = operation.bulk
    assert bulk is not None
    assert request is not None
    assert typed(bulk.read(Response(201, data.draw(texts(taken)))))
    told = Response(200, data.draw(texts(task)))
    if (state := bulk.state(told)) is None:
        read = operation.poll.read if operation.poll else operation.read
        part = bulk.part(told, request)
        assert typed(spec.problem(part) or read(part))
    else:
        assert typed(state)


FOUND = {
    "status": "success",
    "matches": [{"name": "Dana"}],
    "organizations": [{"primary_domain": "a.example"}],
}


@pytest.mark.parametrize("spec", [apollo.SPEC, apollo_people.SPEC], ids=lambda spec: spec.label)
@quickly
@given(data=st.data())
def test_every_pack_is_read(spec: ProviderSpec, data: st.DataObject) -> None:
    (operation,) = spec.operations
    request, pack = operation.ask(Question(DANA)), operation.pack
    assert pack is not None
    assert request is not None
    asked = [request] * data.draw(st.integers(1, 3))
    parts = pack.parts(Response(200, data.draw(texts(FOUND))), asked)
    assert len(parts) == len(asked)
    assert all(typed(spec.problem(part) or operation.read(part)) for part in parts)


@pytest.mark.parametrize("row", [row for row in CATALOGUE if row.spec.token], ids=lambda row: row.spec.label)
@quickly
@given(data=st.data())
def test_every_token_is_read(row: Row, data: st.DataObject) -> None:
    assert row.spec.token is not None
    response = data.draw(responses(row, None))
    assert isinstance(row.spec.token.read(response), Token | Problem)


def test_a_success_that_is_not_spoiled_is_a_hit() -> None:
    """Guards the samples: readers that see only junk prove little."""
    for row in CATALOGUE:
        if row.name in SUCCESSES:
            operation = row.spec.operations[0]
            response = Response(
                200, json.dumps(SUCCESSES[row.name]), {}, operation.ask(Question(DANA, EMAIL))
            )
            read = operation.poll.read if operation.poll else operation.read
            assert isinstance(read(response), Hit | Judgement), row.name
