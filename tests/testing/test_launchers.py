"""Mistakes that authors of launchers make are found, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mistakes import failure


class Deaf:
    """A launcher that says that everything went well."""

    workers, here = 1, True

    def start(self, job: Any) -> Any:
        job.log.write_text("it ran")
        return self

    def poll(self) -> int:
        return 0


def test_wrong_launchers(tmp_path: Path) -> None:
    assert "a job that fails has the exit code 0" in failure(Deaf, "launcher", "exit_codes", tmp_path)
