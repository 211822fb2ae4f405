"""Checking a recipe completely; checks that need no component come first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantk.recipe.load import Given, load_recipe
from gantk.recipe.model import Recipe
from gantk.recipe.overrides import Changes
from gantk.recipe.variants import Child, described

if TYPE_CHECKING:
    from gantk.plugins import Session

__all__ = ["validate"]


def validate(path: Given, overrides: Changes = (), session: Session | None = None) -> Recipe:
    """Check a recipe in full: keys, types, names, parameters, that its networks can be built, and a step of each stage.

    All networks are built, and the steps run on random images. For sweeps, every run is checked, and the recipe that
    the runs change is returned.

    Raises:
        RecipeError: something is wrong.
        GantkError: a training step would fail.
    """
    found = described(path, overrides)
    from gantk.api.checks import build  # torch takes seconds to import, and most mistakes are found without it
    from gantk.plugins import load_plugins

    registry = (session or load_plugins()).registry
    if isinstance(found, Recipe):
        build(found, registry)
        return found
    unlike: dict[str, Child] = {}
    for child in found.children:
        unlike.setdefault(child.work, child)
    for child in unlike.values():
        with child.named():
            build(child.recipe, registry)
    return load_recipe(path, overrides)
