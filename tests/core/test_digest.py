"""A question is known again, whatever its spelling in memory, and never mistaken for another."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.ledger import DIGEST_BYTES, EPOCH_BYTES, digest, key

ANY_TEXT = st.text(st.characters(), max_size=8)  # lone surrogates included
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
REQUESTS = st.dictionaries(ANY_TEXT, VALUES, max_size=4)


def backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: backwards(value[name]) for name in reversed(list(value))}
    return [backwards(item) for item in value] if isinstance(value, list) else value


@given(REQUESTS)
def test_the_order_of_fields_does_not_matter(request: dict[str, Any]) -> None:
    assert digest("tomba", "find", request) == digest("tomba", "find", backwards(request))


@given(REQUESTS, REQUESTS)
def test_different_questions_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest("tomba", "find", one) == digest("tomba", "find", other)) is same


@pytest.mark.parametrize(
    "other",
    [
        ("tomba", "find", {"name": "ada"}),
        ("reoon", "find", {}),
        ("tomba", "verify", {}),
        ("tombaf", "ind", {}),
        ("tomba", "find", {"": ""}),
    ],
)
def test_every_part_of_a_question_counts(other: tuple[str, str, dict[str, Any]]) -> None:
    assert digest("tomba", "find", {}) != digest(*other)


def test_a_number_a_truth_and_a_text_are_three_questions() -> None:
    assert len({digest("tomba", "find", {"n": value}) for value in (1, True, "1", "true", None, "")}) == 6


@pytest.mark.parametrize("odd", ["\ud800", "a\u0000b", "😀", "ß", "e\u0301", "é"])
def test_odd_text_has_a_digest_of_its_own(odd: str) -> None:
    assert digest("tomba", "find", {"name": odd}) == digest("tomba", "find", {"name": odd})
    assert digest("tomba", "find", {"name": odd}) != digest("tomba", "find", {"name": odd + "x"})


def test_a_digest_has_its_length_whatever_the_question() -> None:
    assert (
        len(digest("tomba", "find", {})) == len(digest("t" * 999, "find", {"a": "b" * 9999})) == DIGEST_BYTES
    )


@given(st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES), st.lists(st.integers(0, 2**32 - 1)))
def test_epochs_sort_behind_their_question(question: bytes, epochs: list[int]) -> None:
    keys = [key(question, epoch) for epoch in epochs]
    assert sorted(keys) == [key(question, epoch) for epoch in sorted(epochs)]
    assert all(k.startswith(question) and len(k) == DIGEST_BYTES + EPOCH_BYTES for k in keys)
