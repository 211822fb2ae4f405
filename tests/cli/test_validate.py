"""`gantk validate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gantk
from command_line import RECIPE, call
from gantk.errors import RecipeError


def test_validate_speaks_json_of_right_and_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    class Checked:
        name = "tiny"

        def model_dump(self, mode: str) -> dict[str, str]:
            return {"name": "tiny"}

    seen: list[object] = []

    def check(path: Path, overrides: object) -> Checked:
        seen.append((path, overrides))
        if path.name == "wrong.toml":
            raise RecipeError("wrong")
        return Checked()

    monkeypatch.setitem(vars(gantk), "validate", check)
    right = call("validate", "right.toml", "--set", "a.b=1", "--set", "c=2", "--json")
    assert json.loads(right.stdout)["valid"] is True
    assert seen == [(Path("right.toml"), ("a.b=1", "c=2"))]
    wrong = call("validate", "wrong.toml", "--json")
    assert (wrong.exit_code, json.loads(wrong.stdout)["valid"]) == (2, False)
    assert call("validate", "right.toml").stdout == "right.toml: recipe 'tiny' is valid\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_validate_real_recipes(recipe: Path) -> None:
    assert call("validate", recipe).exit_code == 0
    shown = call("validate", recipe, "--resolved")
    assert shown.exit_code == 0
    assert 'name = "tiny"' in shown.stdout
