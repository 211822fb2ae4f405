"""Recipes in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sweep_recipes
from base_recipe import BASE

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "base.toml").write_text(BASE)

    def make(text: str, name: str = "child.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


@pytest.fixture
def base(write: Write) -> Path:
    return write(BASE, "base.toml")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Write:
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "base.toml").write_text(sweep_recipes.BASE)
    (folder / "other.toml").write_text(sweep_recipes.OTHER)

    def make(text: str = sweep_recipes.SWEEP, name: str = "sweep.toml") -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return make
