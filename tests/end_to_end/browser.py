"""Chromium as a person uses it: pages that load, texts that appear, fields and buttons.

Driven over its DevTools protocol, https://chromedevtools.github.io/devtools-protocol/tot/.
"""

import asyncio
import base64
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from tests.caretaker import cared_for
from tests.end_to_end.shell import Fact, in_a_group, until

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1280, 800
PATIENCE_S = 120.0  # for one thing to appear, a run's end included
CLICK_AGAIN_S = 10.0
LOOK_EVERY_S = 0.1
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    "--password-store=basic",
)
# The innermost elements of a selector that show a text; the last one is what lies on top.
FOUND = """
((selector, text) => {
  const shown = (it) => it.getClientRects().length && getComputedStyle(it).visibility !== "hidden";
  const says = (it) => (it.innerText ?? "").includes(text);
  const fits = [...document.querySelectorAll(selector)].filter((it) => shown(it) && says(it));
  return fits.filter((it) => !fits.some((other) => other !== it && it.contains(other))).at(-1);
})(%s, %s)
"""
MIDDLE = """
((it) => {
  if (!it || it.disabled) return null;
  it.scrollIntoView({block: "center", behavior: "instant"});
  const box = it.getBoundingClientRect(), at = [box.x + box.width / 2, box.y + box.height / 2];
  const top = document.elementFromPoint(...at);
  return top && (it.contains(top) || top.contains(it)) ? at : null;
})(%s)
"""
SOON = "new Promise((drawn) => setTimeout(() => requestAnimationFrame(() => drawn()), 50))"
ARRIVED = """
Promise.allSettled(document.getAnimations().filter(
  (it) => it.effect.getComputedTiming().endTime < Infinity).map((it) => it.finished)).then(() => true)
"""


class BrowserSaid(AssertionError):
    """A command of the protocol that failed, or a script that threw."""


def program() -> str | None:
    """Where it is, if it is there."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@dataclass(frozen=True)
class Page:
    """One tab. Whatever it waits for, it looks at again until it is there."""

    socket: ClientWebSocketResponse
    runner: asyncio.Runner
    numbers: "count[int]"

    def open(self, url: str) -> None:
        self.ask("Page.navigate", url=url)

    def value(self, script: str) -> Any:
        """Of an expression in the page."""
        told = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise BrowserSaid(f"{script}: {told['exceptionDetails']['exception']['description']}")
        return told["result"].get("value")

    def see(self, text: str, selector: str = "body") -> None:
        """Waits until it is shown."""
        self._until(lambda: self.shows(text, selector))

    def shows(self, text: str, selector: str = "body") -> bool:
        return bool(self.value(f"!!{found(selector, text)}"))

    def open_by(self, selector: str, text: str, opened: str, holding: str = "") -> None:
        """Clicks until what it opens is shown, as a person does.

        A page that loads draws its parts anew, and a click just before it is lost or undone.
        """
        due = 0.0

        def clicked_and_open() -> bool:
            nonlocal due
            if self.shows(holding, opened):
                return True
            if time.monotonic() >= due and (place := self._at_rest(found(selector, text))):
                self._click_at(place)
                due = time.monotonic() + CLICK_AGAIN_S
            return False

        self._until(clicked_and_open)

    def click(self, selector: str, text: str = "") -> None:
        """With the mouse."""
        self._click_at(self.place(selector, text))

    def _click_at(self, place: list[float]) -> None:
        x, y = place
        for event in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)

    def place(self, selector: str, text: str = "") -> list[float]:
        """Its middle, scrolled to, once it is enabled and nothing lies over it."""
        return self._until(lambda: self._at_rest(found(selector, text))) or []

    def _until(self, fact: Callable[[], Fact]) -> Fact:
        """A failure tells what the page showed instead."""
        try:
            return until(fact, PATIENCE_S, LOOK_EVERY_S)
        except AssertionError as late:
            shown = self.value("document.body.innerText")
            raise AssertionError(f"{late}; the page shows: {shown!r}") from None

    def _at_rest(self, element: str) -> list[float] | None:
        """Dialogs and lists slide in, and a click would hit what passes by."""
        place: list[float] | None = self.value(MIDDLE % element)
        self.value(SOON)
        return place if place == self.value(MIDDLE % element) else None

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.ask("Input.insertText", text=text)

    def press(self, key: str, code: int, modifiers: int = 0, **more: Any) -> None:
        for event in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent",
                type=event,
                key=key,
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
                **more,
            )

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)

    def picture(self, file: Path) -> None:
        """Once what fades or slides has done so."""
        self.value(ARRIVED)
        file.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.runner.run(self._asked(method, parameters))

    async def _asked(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Events come between question and answer; nobody waits for one."""
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE_S):
            while (told := await self.socket.receive_json()).get("id") != number:
                pass
        if "error" in told:
            raise BrowserSaid(f"{method}: {told['error']['message']}")
        return dict(told["result"])


def found(selector: str, text: str) -> str:
    return FOUND % (json.dumps(selector), json.dumps(text))


@contextmanager
def opened(program: str) -> Iterator[Page]:
    """A browser of its own with one tab; neither outlives the block."""
    with cared_for("phase3-browser-") as profile, _started(program, profile), asyncio.Runner() as runner:
        port = until(lambda: _port(profile))
        session, socket = runner.run(_connected(port))
        page = Page(socket, runner, count(1))
        try:
            page.resize(WIDTH, HEIGHT)
            yield page
        finally:
            runner.run(session.close())


@contextmanager
def _started(program: str, profile: Path) -> Iterator[None]:
    rights = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [program, *FLAGS, *rights, f"--user-data-dir={profile}", "about:blank"]
    with (profile / "log").open("ab") as log, in_a_group(command, stdout=log, stderr=log):
        yield


def _port(profile: Path) -> int:
    """It writes down the one that it chose."""
    file = profile / "DevToolsActivePort"
    written = file.read_text().splitlines() if file.exists() else []
    return int(written[0]) if written else 0


async def _connected(port: int) -> tuple[ClientSession, ClientWebSocketResponse]:
    session = ClientSession(f"http://127.0.0.1:{port}")
    async with session.get("/json/list") as answer:
        tabs = await answer.json()
    (tab,) = (one for one in tabs if one["type"] == "page")
    return session, await session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0, heartbeat=None)
