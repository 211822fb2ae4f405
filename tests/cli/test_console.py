"""Answers on standard output, of the first process alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantk.cli.console import console, table, write, write_json


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")


def test_text_is_neither_wrapped_nor_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold]word[/bold] " * 30
    write(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_a_table_folds_all_but_its_first_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # 160 at least, and no wider as another test may have it
    write(table(["name", "what"], [["a" * 100, "b" * 100]]))
    out = capsys.readouterr().out
    assert "a" * 100 in out
    assert "b" * 100 not in out
    assert out.count("b") == 100


def test_json_has_paths_and_signs_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({"é": Path("a/b")})
    out = capsys.readouterr().out
    assert json.loads(out) == {"é": "a/b"}
    assert "é" in out


@pytest.mark.usefixtures("second")
def test_other_processes_of_a_run_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    write("text")
    write_json([1])
    console().print("text")
    assert capsys.readouterr() == ("", "")
