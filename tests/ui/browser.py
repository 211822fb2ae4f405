"""A headless Chromium, spoken to over its debugging pipe, which needs no library: JSON messages that end in a zero."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def binary() -> str | None:
    """The browser's program, None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One browser with one page; a context manager.

    Args:
        profile: an empty folder for what the browser keeps.
    """

    def __init__(self, profile: Path) -> None:
        program = binary()
        assert program is not None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # the browser reads from 3 and writes to 4, which may be ends of these very pipes: out of the way first
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]

        def take() -> None:
            for end, number in zip(high, (3, 4), strict=True):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                "--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe",
                f"--user-data-dir={profile}", "about:blank",
            ],
            preexec_fn=take,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (theirs_in, theirs_out, *high):
            os.close(end)
        self._count, self._rest = 0, b""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            self("enable", domain)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._out, self._in):
            os.close(end)
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __call__(self, method: str, domain: str = "Page", /, **parameters: Any) -> dict[str, Any]:
        """A command of the Chrome DevTools protocol to the page."""
        return self._ask(f"{domain}.{method}", self._session, **parameters)

    def open(self, url: str, width: int = 1440, height: int = 900, *, dark: bool = False) -> None:
        """Go to an address in a window of this size."""
        self.size(width, height)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self("setEmulatedMedia", "Emulation", features=scheme)
        self("navigate", url="about:blank")  # a change of only the part after # would not reload the page
        self("navigate", url=url)

    def size(self, width: int, height: int) -> None:
        self(
            "setDeviceMetricsOverride", "Emulation",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page; an element is true."""
        bare = f"((value) => value instanceof Node ? true : value)({script})"
        answer = self("evaluate", "Runtime", expression=bare, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = 120.0) -> Any:
        """Wait for an expression to be true, and return its value."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"not within {seconds:.0f} s: {script}\n{self.text()[:3000]}"
            time.sleep(0.25)
        return value

    def text(self) -> str:
        """The text of the page."""
        return str(self.run("document.body ? document.body.innerText : ''"))

    def shows(self, *texts: str) -> None:
        """Wait until the page shows all of these."""
        for text in texts:
            self.until(f"document.body && document.body.innerText.includes({json.dumps(text)})")

    def key(self, name: str) -> None:
        """Press a key by its name, such as `Enter` or `ArrowRight`."""
        code = {"Enter": 13, "Space": 32, "Tab": 9, "ArrowRight": 39}[name]
        common = {"key": " " if name == "Space" else name, "code": name, "windowsVirtualKeyCode": code}
        text = {"Enter": "\r", "Space": " "}.get(name)
        self("dispatchKeyEvent", "Input", type="keyDown", **common, **({"text": text} if text else {}))
        self("dispatchKeyEvent", "Input", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Write text where the focus is."""
        self("insertText", "Input", text=text)

    def wheel(self, x: float, y: float, by: float) -> None:
        """Turn the mouse's wheel at a place in the window."""
        self("dispatchMouseEvent", "Input", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=by)

    def picture(self, path: Path, *, whole: bool = False) -> Path:
        """A PNG of the window, or of the whole page."""
        data = self("captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
        return path

    def _ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                found: dict[str, Any] = answer["result"]
                return found

    def _read(self, seconds: float = 240.0) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], seconds)
            assert ready, "the browser does not answer"
            some = os.read(self._in, 1 << 16)
            assert some, "the browser has gone"
            self._rest += some
        message, _, self._rest = self._rest.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed
