"""A headless Chromium to look at reports with: for tests, pictures and figures, not for runs.

It is driven over its debugging pipe (NUL-terminated JSON on two file descriptors), so neither a
port nor a library is needed.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.errors import EnvironmentFault, InternalError

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
"""Quiet, and without a request of its own. No sandbox: as root there is none, and what is opened is
a file of ours whose policy forbids everything else.
"""
ANSWER_SECONDS = 30
"""For one command or one condition; a page of 10^6 operations opens in a few seconds."""
POLL_SECONDS = 0.02
READ_BYTES = 1 << 20


def find_browser() -> str | None:
    """The path of a Chromium, None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a headless Chromium. `errors` and `requests` collect what the page did."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        self._process = process
        self._to = to
        self._back = back
        self._rest = b""
        self._number = 0
        self._session = ""
        self.errors: list[str] = []
        """Exceptions, console errors and violations of the page's policy."""
        self.requests: list[str] = []
        """Addresses that the page asked for, its own included."""

    def attach(self) -> None:
        """Make the page that everything else is about."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = memoryview(msgspec.json.encode(message) + b"\0")
        while data:
            data = data[os.write(self._to, data) :]
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            answer = self._receive(deadline)
            if answer.get("id") != self._number:
                self._note(answer)
                continue
            if "error" in answer:
                raise InternalError(f"the browser refused {method}: {answer['error']}")
            result: dict[str, Any] = answer["result"]
            return result

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._back], [], [], left)[0]:
                raise EnvironmentFault(f"the browser did not answer within {ANSWER_SECONDS} s")
            data = os.read(self._back, READ_BYTES)
            if not data:
                raise EnvironmentFault("the browser ended")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = msgspec.json.decode(line)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", details).get("description", str(details)))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(str(params["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def size(self, width: int, height: int, *, scale: float = 1) -> None:
        """The window's size in CSS pixels, and device pixels to one of them."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=False,
        )  # fmt: skip

    def theme(self, name: str) -> None:
        """ "light" or "dark", as the user's system would say."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a report and wait until its timeline is drawn, or has failed to be."""
        # By way of an empty page: a new fragment alone would not load the file again.
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{path.resolve().as_uri()}{fragment}")
        self.wait(
            "document.readyState === 'complete' && document.getElementById('status') && "
            "(document.getElementById('status').dataset.readyMs || "
            "document.getElementById('status').dataset.failed)"
        )

    def evaluate(self, code: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        if "exceptionDetails" in found:
            raise InternalError(f"{code}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, code: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self.evaluate(code):
            if time.monotonic() > deadline:
                raise EnvironmentFault(f"not within {ANSWER_SECONDS} s: {code}")
            time.sleep(POLL_SECONDS)

    def key(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, x: float, y: float) -> None:
        """Click at a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )  # fmt: skip

    def picture(self, path: Path) -> None:
        """A PNG of the window as it stands."""
        found = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        path.write_bytes(b64decode(found["data"]))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser with one empty page; ended with its process group at the end."""
    program = find_browser()
    if program is None:
        raise EnvironmentFault(f"no browser found (tried {', '.join(NAMES)})")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        commands, to = os.pipe()
        back, answers = os.pipe()
        process = start(program, profile, commands, answers)
        os.close(commands)
        os.close(answers)
        try:
            found = Browser(process, to, back)
            found.attach()
            yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
            os.close(to)
            os.close(back)


def start(program: str, profile: str, commands: int, answers: int) -> subprocess.Popen[bytes]:
    """Start Chromium with the pipe's ends where it looks for them: descriptors 3 and 4."""
    # Through a shell: descriptors can be handed on, but only it can give them other numbers.
    script = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
    flags = [*FLAGS, f"--user-data-dir={profile}", "about:blank"]
    return subprocess.Popen(
        ["/bin/bash", "-c", script, program, *flags],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        pass_fds=(commands, answers), start_new_session=True,
    )  # fmt: skip
