"""`gantk describe`: the paragraph and its references, or the references alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import gantk.report.methods
from command_line import call


def test_text_and_bibtex(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def described(folder: Path) -> SimpleNamespace:
        asked.append(folder)
        return SimpleNamespace(text="Data. Two patients.", bibtex="@article{one,\n}")

    monkeypatch.setattr(gantk.report.methods, "describe", described)
    assert call("describe", "abl-other").stdout == "Data. Two patients.\n\n@article{one,\n}\n"
    assert call("describe", "abl-other", "--bibtex").stdout == "@article{one,\n}\n"
    assert asked == [runs / "abl-other"] * 2
    unknown = call("describe", "abl-othr")
    assert unknown.exit_code == 2
    assert "did you mean 'abl-other'" in unknown.stderr
