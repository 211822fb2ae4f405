"""Recipes in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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
