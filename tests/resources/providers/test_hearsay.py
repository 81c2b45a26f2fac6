"""Whom a vendor's words name, and what in them is nobody."""

import pytest

from resources.providers.hearsay import impersonal
from resources.providers.request import get, post

ASKED = post("/find", name="Ada Lovelace", domain="acme.com", mode="power", rows=[["Čapek", "B", 1, True]])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no credits for ADA LOVELACE", "no credits for [somebody]"),
        ("ada+x@acme.com: timeout", "[somebody]: timeout"),
        ("GET /verify?email=ada%40acme.com&mode=power", "GET /verify?email=[somebody]&mode=power"),
        ("see https://www.linkedin.com/in/ada?x=1 there", "see https://www.[somebody] there"),
        ("Čapek, B unknown to the plan", "[somebody], B unknown to the plan"),
        ("mode power is not in your plan at acme.com", "mode power is not in your plan at acme.com"),
        ("Ada Lovelaces", "Ada Lovelaces"),
        ("x" * 10_000, "x" * 4_000),
    ],
)
def test_whoever_was_asked_about_is_somebody(said: str, told: str) -> None:
    assert impersonal(said, ASKED) == told


def test_words_about_nothing_that_was_asked_stay() -> None:
    assert impersonal("Too many requests. Wait.", get("/me")) == "Too many requests. Wait."
    assert impersonal("ada@acme.com", None) == "[somebody]"
