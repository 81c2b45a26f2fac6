"""How Dagster is started by `phase3 dev`."""

from phase3_assets import developing
from tests.attacks import attack, replaced


@attack(
    "The Dagster UI and the sandbox",
    "Somebody in the network opens the UI, which asks nobody who they are, and approves",
    defence="It is started on loopback; docs/approval.md has a proxy with a log-in to put before it",
    without=replaced((developing, "LOOPBACK", "0.0.0.0")),
)
def test_the_ui_is_started_on_loopback() -> None:
    words = developing.command(3100)
    assert words[words.index("-h") :] == ["-h", "127.0.0.1", "-p", "3100"]
