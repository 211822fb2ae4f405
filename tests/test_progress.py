"""Progress: what pipes and notes are shown."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from gantk.progress import PlainProgress, QuietProgress, RichProgress, default_progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (48, "48 s"),
        (59.6, "1 min 00 s"),
        (300, "5 min 00 s"),
        (3599.5, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_pipe_gets_a_line_at_the_end_and_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with PlainProgress().task("Reading", 40) as bar:
        for _ in range(10):
            now += 1.5
            bar.advance(4)
    said = capsys.readouterr().err.splitlines()
    assert said == ["Reading: 28/40, ETA 4 s", "Reading: 40/40, ETA 0 s"]


def test_notes_go_where_they_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    notes: list[str] = []
    PlainProgress(notes.append).note("one")
    PlainProgress().note("two")
    QuietProgress().note("three")
    assert (notes, capsys.readouterr().err) == (["one"], "two\n")


def test_a_terminal_has_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(default_progress(), PlainProgress)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert isinstance(default_progress(), RichProgress)
    out = io.StringIO()
    progress = RichProgress(Console(file=out, width=80))
    with progress.task("Reading", 3) as bar:
        bar.advance(3)
    progress.note("done")
    assert "Reading" in out.getvalue()
    assert "3/3" in out.getvalue()
    assert out.getvalue().endswith("done\n")
