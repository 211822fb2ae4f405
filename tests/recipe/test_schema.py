"""Docstrings of a recipe's models document its keys."""

from __future__ import annotations

from gantk.recipe import Recipe
from gantk.recipe.schema import attribute_docs, keys_at


def test_attribute_docs_and_keys() -> None:
    docs = attribute_docs(Recipe)
    assert docs["predict"].startswith("The role that `gantk predict` uses")
    assert "seed" in keys_at(Recipe, ["run"])
