"""The result of a finished run, as a notebook and a terminal show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.api.result import RunResult
from measured_runs import evaluate


def test_its_table_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = evaluate(tmp_path / "run-1", 1, 0.8)
    result = RunResult(folder, "finished", {"methods": {}}, folder / "report.html")
    assert "<b>run-1</b>" in result._repr_html_()
    assert "<table>" in result._repr_html_()
    result.show()
    shown = capsys.readouterr().out
    assert "SSIM" in shown
    assert "student" in shown
    assert "methods" not in repr(result), "the summary is long"
