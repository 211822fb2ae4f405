"""A recipe, and every unlike run of a sweep, is checked in full without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gantk.api import checks
from gantk.api.validate import validate
from gantk.errors import RecipeError
from sweep_recipes import BASE, OTHER, SWEEP

SMALL = BASE.replace('target = "t1ce"', 'target = "t1ce"\ncrop = [16, 16]').replace("channels = 8", "channels = 2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("base", SMALL), ("other", OTHER), ("sweep", SWEEP)):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_networks_are_built_and_a_step_is_made(folder: Path) -> None:
    recipe = validate(folder / "base.toml", ["translators.a.generator.blocks=1"])
    assert recipe.translators["a"].generator.parameters["blocks"] == 1
    with pytest.raises(RecipeError, match=r"parameter 'blokcs'; did you mean 'blocks'"):
        validate(folder / "base.toml", ["translators.a.generator.blokcs=1"])


def test_runs_that_differ_in_their_seed_alone_are_checked_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[Any, Any]] = []
    monkeypatch.setattr(checks, "build", lambda recipe, _: built.append((recipe.name, recipe.run.seed)))
    recipe = validate(folder / "sweep.toml")
    assert recipe.name == "table"
    assert len(built) == 2 + 2 + 1, "three variants, two of them over two fractions"
    assert len({seed for _, seed in built}) == 1


def test_the_variant_that_is_wrong_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(recipe: Any, registry: Any) -> None:
        if not recipe.maps["edges"].enabled:
            raise RecipeError("it is wrong", where="maps.edges")

    monkeypatch.setattr(checks, "build", build)
    with pytest.raises(RecipeError, match=r"variant 'no-map'.*it is wrong"):
        validate(folder / "sweep.toml")
