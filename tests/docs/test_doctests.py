"""Examples with answers, in the pages and in docstrings, give these answers."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md") if ">>> " in path.read_text(encoding="utf-8"))
MODULES = sorted(
    ".".join(path.relative_to(root).with_suffix("").parts)
    for root in (ROOT, ROOT / "plugins")
    for package in ("gantk", "gantk_baselines", "gantk_ds3net")
    for path in (root / package).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("page", PAGES)
def test_pages(page: str) -> None:
    found = doctest.testfile(str(ROOT / "docs" / page), module_relative=False, encoding="utf-8")
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module: str) -> None:
    found = doctest.testmod(import_module(module))
    assert found.attempted
    assert not found.failed
