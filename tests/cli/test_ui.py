"""`gantk ui`: which store it serves, the address it prints, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import call
from gantk.tracking import ui


@pytest.mark.parametrize(("ended", "code"), [(0, 0), (-2, 0), (3, 1)])
def test_the_address_is_printed_and_only_a_failure_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: int, code: int
) -> None:
    asked: list[object] = []

    def serve(uri: str, port: int | None, ready: Callable[[str], None]) -> int:
        asked.extend((uri, port))
        ready("http://127.0.0.1:5123")
        return ended

    monkeypatch.setattr(ui, "store_of", lambda runs, uri: f"{uri} of {runs.name}")
    monkeypatch.setattr(ui, "serve", serve)
    result = call("ui", "--runs", tmp_path / "mine", "--port", "5123", "--tracking-uri", "http://x")
    assert result.exit_code == code
    assert asked == ["http://x of mine", 5123]
    assert result.stdout == "MLflow UI: http://127.0.0.1:5123\n"
    assert ("the MLflow UI ended with exit code 3" in result.stderr) == (code == 1)
