"""A real browser, driven through chromedriver: plain JSON over HTTP on loopback (W3C WebDriver), nothing else.

Chromium opens `file:` addresses only, in an empty profile that ends with the test. What it wrote to the console and
what it asked the network for are kept, so that a test can say that there was neither.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["KEYS", "SCREENSHOTS", "Browser", "View", "browser_missing", "running"]

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
KEYS = {
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Left": "\ue012",
    "Up": "\ue013",
    "Right": "\ue014",
    "Down": "\ue015",
    "Home": "\ue011",
    "End": "\ue010",
}
"""What WebDriver calls the keys that are no characters."""

# The machine's own settings for a proxy are not for loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@cache
def browser_missing() -> str:
    """Why no browser can be had here; empty where one can."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"needs {' and '.join(missing)} (scripts/setup.sh dev --browser)" if missing else ""


class Browser:
    """One window."""

    def __init__(self, root: str, session: str) -> None:
        self._session = f"{root}/session/{session}"

    def open(self, path: Path, fragment: str = "") -> None:
        """Opens a file anew."""
        self._call("POST", "/url", {"url": "about:blank"})
        self.log()
        self.requests()
        self._call("POST", "/url", {"url": path.as_uri() + fragment})

    def run(self, script: str, *arguments: object) -> Any:
        """What a function body returns in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> Any:
        """The first element."""
        return self._call("POST", "/element", {"using": "css selector", "value": selector})

    def text(self, selector: str) -> str:
        """The text that can be seen of the first element."""
        return str(self._call("GET", f"/element/{self.find(selector)[_ELEMENT]}/text"))

    def click(self, selector: str) -> None:
        """Clicks the middle of the first element, as a person would: what covers it gets the click."""
        self._call("POST", f"/element/{self.find(selector)[_ELEMENT]}/click", {})

    def click_at(self, x: float, y: float) -> None:
        """Clicks a point of the window."""
        moves = [
            {"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": moves}]})

    def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """Presses at one point of the window, moves to another, and lets go."""
        moves = [
            {"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "duration": 0, "x": round((x + to_x) / 2), "y": round((y + to_y) / 2)},
            {"type": "pointerMove", "duration": 0, "x": round(to_x), "y": round(to_y)},
            {"type": "pointerUp", "button": 0},
        ]
        self._call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": moves}]})

    def press(self, *keys: str) -> None:
        """Presses keys one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def media(self, scheme: str, media: str = "screen") -> None:
        """What the system is said to prefer, and whether this is a screen or paper."""
        self.tool(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def scripts(self, on: bool) -> None:
        """Whether pages may run scripts."""
        self.tool("Emulation.setScriptExecutionDisabled", value=not on)

    def window(self, width: int, height: int) -> None:
        """The size of the page's area, exactly."""
        self.tool("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> None:
        """Keeps what can be seen."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def log(self) -> list[str]:
        """What was written to the console since the last time."""
        return [str(entry["message"]) for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """What addresses were asked for since the last time; what the page's own policy refused was not."""
        entries = self._call("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        refused = {one["params"]["requestId"] for one in messages if one["params"].get("blockedReason") == "csp"}
        sent = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent if one["requestId"] not in refused]

    def tool(self, command: str, **parameters: object) -> Any:
        """A command of the DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def close(self) -> None:
        """Ends the browser."""
        self._call("DELETE", "")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return _call(method, self._session + path, body)


class View:
    """A browser that opens samples by their name, and knows the parts of a page."""

    def __init__(self, browser: Browser, files: dict[str, Path]) -> None:
        self.browser = browser
        self.files = files
        self.press, self.click, self.text, self.run = browser.press, browser.click, browser.text, browser.run

    def open(self, sample: str, fragment: str = "") -> None:
        """Opens a sample; its script must have run to its end."""
        self.browser.open(self.files[sample], fragment)
        assert self.run("return 'ready' in document.documentElement.dataset")

    def focused(self) -> str:
        """The identifier of what has the focus, or its tag."""
        return str(
            self.run("const one = document.activeElement; return one.id || one.value || one.tagName.toLowerCase()")
        )

    def shown(self, selector: str) -> int:
        """How many such elements can be seen."""
        return int(
            self.run(
                """const drawn = one => !one || (getComputedStyle(one).display !== 'none' && drawn(one.parentElement));
                return [...document.querySelectorAll(arguments[0])]
                    .filter(one => drawn(one) && one.checkVisibility()).length""",
                selector,
            )
        )

    def middle(self, selector: str) -> tuple[float, float]:
        """A point of the window on the middle of a line, or in the middle of an element."""
        x, y = self.run(
            """const one = document.querySelector(arguments[0]);
            if (one.getPointAtLength) {
                const at = one.getPointAtLength(one.getTotalLength() / 2).matrixTransform(one.getScreenCTM());
                return [at.x, at.y];
            }
            const box = one.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];""",
            selector,
        )
        return x, y

    def settle(self) -> None:
        """Two frames later: what waits for a frame has happened."""
        self.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def keep(self, name: str) -> None:
        """A screenshot for a person to look at."""
        self.run("return Promise.all(document.getAnimations().map(one => one.finished))")
        self.browser.screenshot(SCREENSHOTS / f"{name}.png")


def _call(method: str, address: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    try:
        with _OPENER.open(request, timeout=100) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{method} {address}: {error.read().decode(errors='replace')[:2000]}") from None


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """A browser with its files in a folder."""
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    command = ["chromedriver", "--port=0", "--allowed-ips=127.0.0.1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as driver:
        try:
            assert driver.stdout is not None
            # It says so itself when it listens: nothing is waited for by the clock.
            port = next(
                match[1] for line in driver.stdout if (match := re.search(r"started successfully on port (\d+)", line))
            )
            root = f"http://127.0.0.1:{port}"
            options = {
                "browserName": "chrome",
                "goog:chromeOptions": {
                    "binary": shutil.which("chromium"),
                    "args": [*_FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1440,900"],
                },
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            session = _call("POST", f"{root}/session", {"capabilities": {"alwaysMatch": options}})
            browser = Browser(root, session["sessionId"])
            try:
                browser.window(1440, 900)
                yield browser
            finally:
                browser.close()
        finally:
            driver.terminate()
