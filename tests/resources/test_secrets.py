"""Keys, tokens and passwords: in no `repr`, no error, no commit, however they are spelled."""

import re
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from phase3_core.ports.clock import Clock
from resources import configurable
from resources.http_client import NotSent, Received, Sending
from resources.postgres import database
from resources.postgres.database import PostgresDatabase
from resources.providers import channel, keys, tokens
from resources.providers.catalogue import CATALOGUE
from resources.providers.channel import Channel
from resources.providers.enrichers import zoominfo_company, zoominfo_legacy
from resources.providers.finders import findymail
from resources.providers.gates import account_name
from resources.providers.keys import IN_ITS_PLACE, Keys
from resources.providers.reconciling import account_of
from resources.providers.request import get
from resources.providers.roster import Roster
from resources.providers.signing import Signature, Token, TokenGrant
from resources.providers.source import VendorSource
from resources.providers.spec import ProviderSpec
from resources.providers.tokens import NoToken, TokenDesk
from resources.relay import SlackTerms
from resources.settings import Settings
from resources.slack.api import SlackApi
from resources.webhook import WebhookTerms
from tests.attacks import attack, replaced

ROOT = Path(__file__).parents[2]
CANARY = "canary+4711/é&\"<'="  # spelled otherwise in a URL, in JSON and in HTML
SPELLED = {
    "plain": CANARY,
    "url": "canary%2B4711%2F%C3%A9%26%22%3C%27%3D",
    "form": "canary%2B4711/%C3%A9%26%22%3C%27%3D",
    "json": r"canary+4711/\u00e9&\"<'=",
    "json of others": r"canary+4711\/\u00e9&\"<'=",
    "html": "canary+4711/é&amp;&quot;&lt;&#x27;=",
}
NOBODY = cast("Any", None)
HOLDERS = {
    "keys": Keys({"TOMBA_API_KEY": CANARY}),
    "signature": Signature({"X-Key": CANARY}, {"key": CANARY}, {"key": CANARY}),
    "token": Token(CANARY, 60.0),
    "request": Sending(
        "GET", "https://vendor.example", {"key": CANARY}, {"X-Key": CANARY}, CANARY, None, 1.0
    ),
    "source": VendorSource(Settings(), {"TOMBA_API_KEY": CANARY}, NOBODY, cast("Clock", None)),
    "roster": Roster(Settings(), {"TOMBA_API_KEY": CANARY}),
    "slack": SlackTerms(CANARY, "C1", "https://slack.example"),
    "slack api": SlackApi(NOBODY, CANARY),
    "webhook": WebhookTerms("https://hook.example", CANARY),
    "database": PostgresDatabase(f"postgresql://me:{CANARY}@db/leads"),
}


class Echo:
    """A vendor that says what it likes, for example our key."""

    def __init__(self, status: int, words: str) -> None:
        self.received = Received(status, words, {})

    async def send(self, sending: Sending) -> Received:
        del sending
        return self.received


@attack(
    "Secrets",
    "A traceback, a log line or a failed test prints the object that holds a key",
    defence="Whatever holds a key leaves it out of its `repr`; keys are of a type of their own",
    without=replaced((Keys, "__repr__", lambda held: repr(dict(held)))),
)
@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_nothing_that_holds_a_secret_shows_it(holder: object) -> None:
    for shown in (repr(holder), str(holder), f"{holder!r:>5}"):
        assert "canary" not in shown


@attack(
    "Secrets",
    "A vendor echoes our key, as it is or as a URL, JSON or HTML spells it",
    defence="Keys are taken out of an answer before anything reads it",
    without=replaced((channel, "without", lambda _, told: told)),
)
@pytest.mark.parametrize("spelled", SPELLED.values(), ids=SPELLED)
async def test_an_echo_of_a_key_is_taken_out_before_it_is_read(spelled: str) -> None:
    vendor = Echo(200, f'{{"you": "sent {spelled}"}}')
    way = Channel(findymail.SPEC, Keys({"FINDYMAIL_API_KEY": CANARY}), "https://vendor.example", vendor)
    response = await way.send(get("/x"), 1.0)
    assert response.text == f'{{"you": "sent {IN_ITS_PLACE}"}}'


TOKENED: list[tuple[ProviderSpec, dict[str, str]]] = [
    (zoominfo_company.SPEC, {"ZOOMINFO_CLIENT_ID": "client-1", "ZOOMINFO_CLIENT_SECRET": CANARY}),
    (zoominfo_legacy.SPECS[0], {"ZOOMINFO_USERNAME": "dana", "ZOOMINFO_PASSWORD": CANARY}),
]


@attack(
    "Secrets",
    "A vendor refuses a token and quotes the password that it was asked with",
    defence="Keys are taken out of a token's refusal, too",
    without=replaced((tokens, "without", lambda _, told: told)),
)
@pytest.mark.parametrize(("spec", "own"), TOKENED, ids=["client", "user"])
@pytest.mark.parametrize("status", [400, 500])
async def test_a_refused_token_names_no_password(
    spec: ProviderSpec, own: dict[str, str], status: int
) -> None:
    vendor = Echo(status, f'{{"error": "{SPELLED["json"]} is wrong"}}')
    desk = TokenDesk(cast("TokenGrant", spec.token), Keys(own), "https://x.example", vendor.send, lambda: 0.0)
    with pytest.raises((NoToken, NotSent)) as refused:
        await desk.token()
    told = [str(refused.value), getattr(getattr(refused.value, "response", None), "text", "")]
    assert not [words for words in told if "canary" in words]


def test_short_keys_and_names_of_accounts_are_no_reason_to_spoil_answers() -> None:
    assert Keys({"A_KEY": "abc", "ZOOMINFO_USERNAME": "acme-corp"}).hidden == []


def test_the_longest_spelling_goes_first() -> None:
    assert keys.without(Keys({"A": "secret-1", "B": "secret-12"}).hidden, "secret-12") == IN_ITS_PLACE


@attack(
    "Secrets",
    "A database error quotes the row that it failed on, and Dagster keeps the traceback",
    defence="Errors of the database come without parameters",
    without=replaced(
        (
            database,
            "create_async_engine",
            lambda url, **options: create_async_engine(url, **options | {"hide_parameters": False}),
        )
    ),
)
async def test_a_database_error_quotes_no_row(database_url: str) -> None:
    async with PostgresDatabase(database_url).reading() as books, books.engine.connect() as connection:
        with pytest.raises(SQLAlchemyError) as failed:
            await connection.execute(text("SELECT 1 / 0 WHERE :who <> ''"), {"who": "ada@acme.com"})
    assert "ada@acme.com" not in f"{failed.value!r} {failed.value}"


@attack(
    "Secrets",
    "A password is guessed from the hash that names an account in the database",
    defence="Only what chance made is hashed",
    without=replaced((keys, "PASSWORDS", ("_NOTHING",))),
)
def test_an_accounts_name_does_not_depend_on_a_password() -> None:
    (declared,) = (one for one in CATALOGUE if one.spec is zoominfo_legacy.SPECS[0])
    own, other = ({"ZOOMINFO_USERNAME": "dana", "ZOOMINFO_PASSWORD": word} for word in ("one", "two"))
    assert account_name(declared, own, "") == account_name(declared, other, "")
    assert account_of(own) == account_of(other)
    assert account_of(own) != account_of(own | {"ZOOMINFO_USERNAME": "kim"})


# --- what is committed

SHAPES = {
    "Tomba": "ta_" + "a1" * 20,
    "OpenAI and others": "sk-proj-" + "a1B2" * 8,
    "Anthropic": "sk-ant-api03-" + "a1B_" * 8,
    "Stripe": "sk_live_" + "a1B2" * 6,
    "Slack bot": "xoxb-" + "1234567890-" * 2 + "aBcD" * 6,
    "Slack app": "xapp-1-A01-" + "1234567890-" + "ab12" * 8,
    "AWS": "AKIA" + "ABCDEFGH12345678",
    "GitHub": "ghp_" + "a1B2" * 9,
    "GitHub, fine-grained": "github_pat_" + "11A2" * 10,
    "Google": "AIza" + "Sy1_" * 9,
    "service account": "-----BEGIN " + "PRIVATE KEY-----",
}


def commit_hook() -> dict[str, str]:
    """The hook `secrets`, as far as its values stand on one line."""
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    lines = config.partition("- id: secrets\n")[2].partition("- id:")[0].splitlines()
    named = (line.strip().partition(": ") for line in lines)
    return {name: value.strip("'\"") for name, _, value in named}


@pytest.mark.parametrize("key", SHAPES.values(), ids=SHAPES)
def test_a_key_is_not_committed(key: str) -> None:
    assert re.search(commit_hook()["entry"], f'token = "{key}"')


def test_no_key_is_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    paths = [ROOT / line for line in listed.splitlines() if not re.search(commit_hook()["exclude"], line)]
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()}
    assert [path for path, written in texts.items() if re.search(commit_hook()["entry"], written)] == []


# --- what is configured


def test_no_resource_takes_a_secret_as_configuration() -> None:
    """Dagster keeps run config and shows it in its UI."""
    resources = (one for one in vars(configurable).values() if isinstance(one, type))
    ours = [one for one in resources if one.__module__ == configurable.__name__]
    fields = {name for one in ours for name in getattr(one, "model_fields", ())}
    assert {"settings_file", "overrides", "preset"} <= fields
    assert not [name for name in fields if re.search(r"url|key|token|secret|password", name)]


def test_the_settings_file_takes_no_secret() -> None:
    sections = [one.annotation for one in Settings.model_fields.values() if isinstance(one.annotation, type)]
    names = {name for section in sections for name in getattr(section, "model_fields", ())}
    assert {"contact", "approvers", "fresh_days"} <= names
    assert not [name for name in names if re.search(r"key|token|secret|password", name)]
