"""Options that several commands share: recipes by their file or their name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gantk.cli.options import found_recipe

NOW = SimpleNamespace(resilient_parsing=False)


def test_a_file_is_taken_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text("")
    assert found_recipe(NOW, tmp_path / "mine.toml") == tmp_path / "mine.toml"
    assert found_recipe(NOW, None) is None
    assert capsys.readouterr().err == ""


def test_a_recipe_that_comes_with_gantk_is_found_by_its_name_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = found_recipe(NOW, Path("pix2pix"))
    assert found is not None
    assert found.is_file()
    assert found.name == "pix2pix.toml"
    assert capsys.readouterr().err == f"recipe pix2pix, which comes with gantk:\n  {found}\n"


def test_while_words_are_completed_nothing_is_searched(capsys: pytest.CaptureFixture[str]) -> None:
    assert found_recipe(SimpleNamespace(resilient_parsing=True), Path("pix2pix")) == Path("pix2pix")
    assert capsys.readouterr().err == ""


def test_a_name_that_is_none_is_left_to_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert found_recipe(NOW, Path("pix3pix")) == Path("pix3pix")
