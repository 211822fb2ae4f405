"""`gantk recipes`, and recipes by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import call


def test_recipes_are_listed_with_a_line_each() -> None:
    found = {recipe["name"]: recipe["description"] for recipe in json.loads(call("recipes", "--json").stdout)}
    assert found["pix2pix"].startswith("Pix2Pix")
    assert all(found.values())


def test_a_shipped_recipe_is_named_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("run", "pix2pix", "--set", "run.sed=1")
    assert "recipe pix2pix, which comes with gantk:" in done.stderr
    (tmp_path / "pix2pix").mkdir()  # a folder is no recipe
    assert "comes with gantk" in call("run", "pix2pix", "--set", "run.sed=1").stderr
    (tmp_path / "pix2pix.toml").write_text("nonsense")
    own = call("run", "pix2pix")
    assert own.exit_code == 2
    assert "comes with gantk" not in own.stderr
    assert "pix2pix.toml" in own.stderr
