"""Conformance of launchers."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from gantk.launching import Handle, Job
from gantk.testing.base import Conformance
from gantk.testing.failures import expect

__all__ = ["LauncherConformance"]


class LauncherConformance(Conformance):
    """Conformance of a launcher, by jobs that end at once; see `Conformance` for how to use it.

    Attributes:
        seconds: within how many seconds the end of a job must be noticed.
    """

    kind = "launcher"
    seconds: ClassVar[float] = 60.0

    def start(self, folder: Path, code: str) -> Handle:
        """A job of Python code, whose output goes to `folder/log.txt`."""
        folder.mkdir(parents=True, exist_ok=True)
        return self.make().start(Job(folder.name, [sys.executable, "-c", code], folder, folder / "log.txt"))

    def wait(self, handle: Any) -> int:
        """The job's exit code."""
        ends = time.monotonic() + self.seconds
        while (code := handle.poll()) is None:
            if time.monotonic() > ends:
                handle.kill()
                expect(False, f"a job has no exit code after {self.seconds:g} s", "let poll() notice its end")
            time.sleep(0.02)
        return code

    def test_says_how_it_works(self) -> None:
        """It says how many jobs it runs at once, and whether they run on this machine."""
        launcher = self.make()
        mend = "set the attributes workers (0 for all) and here (True or False)"
        workers, here = getattr(launcher, "workers", None), getattr(launcher, "here", None)
        expect(isinstance(workers, int) and workers >= 0, f"workers is {workers!r}", mend)
        expect(isinstance(here, bool), f"here is {here!r}", mend)

    def test_exit_codes(self, tmp_path: Path) -> None:
        """A job's exit code and output come back."""
        code = self.wait(self.start(tmp_path / "good", "print('it ran')"))
        expect(code == 0, f"a job that ends well has the exit code {code}", "give the command's own exit code")
        text = (tmp_path / "good" / "log.txt").read_text()
        expect("it ran" in text, f"a job's output is {text!r}", "write the command's output to job.log")
        code = self.wait(self.start(tmp_path / "bad", "raise SystemExit(3)"))
        expect(code != 0, "a job that fails has the exit code 0", "give the command's own exit code")

    def test_stop_and_kill(self, tmp_path: Path) -> None:
        """A running job can be stopped, and stopping a job that has ended does no harm."""
        for how in ("stop", "kill"):
            handle = self.start(tmp_path / how, "import time; time.sleep(600)")
            expect(
                handle.poll() is None, "a job that goes on has an exit code", "return None from poll() until it ends"
            )
            getattr(handle, how)()
            expect(self.wait(handle) != 0, f"after {how}() the exit code is 0", "give the signal's number, negative")
            getattr(handle, how)()
