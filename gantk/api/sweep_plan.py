"""What the children of a sweep will do, before any starts: networks built, data prepared, steps counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gantk.errors import DataError, RecipeError
from gantk.plugins import Registry
from gantk.progress import Progress
from gantk.recipe import Recipe
from gantk.recipe.variants import Child

__all__ = ["but_for_seed", "count_epochs", "count_steps", "of_child"]


def but_for_seed(recipe: Recipe) -> str:
    """What recipes share that differ in seed and name alone."""
    return json.dumps(recipe.model_dump(mode="json", exclude={"name": True, "description": True, "run": {"seed"}}))


@contextmanager
def of_child(child: Child) -> Iterator[None]:
    """A context that works on one child: its errors name the variant."""
    try:
        yield
    except RecipeError as error:
        raise child.explain(error) from None
    except DataError as error:
        what = f"variant {child.variant!r}: {error.what}"
        raise DataError(what, where=error.where, why=error.why, mend=error.mend) from error


def count_epochs(child: Child, registry: Registry) -> int:
    """Epochs of all stages, from the child's networks built."""
    from gantk.api.checks import build

    with of_child(child):
        assembly, scheduler = build(child.recipe, registry)
    return sum(stage.epochs for stage in scheduler.stages(list(assembly.translators)))


def count_steps(child: Child, registry: Registry, cohorts: dict[str, Any], progress: Progress) -> int:
    """Steps of all stages, from the child's networks built and its data prepared."""
    from gantk.api.checks import build
    from gantk.api.cohort import open_cohort

    recipe = child.recipe
    with of_child(child):
        assembly, scheduler = build(recipe, registry)
        key = json.dumps([recipe.data.model_dump(mode="json"), recipe.evaluation.missing])
        if key not in cohorts:
            cohorts[key] = open_cohort(recipe, registry, progress)
        loader = cohorts[key].loader
        stages = scheduler.stages(list(assembly.translators))
        return sum(s.epochs * loader.steps(assembly.plan(s.name, s.roles).groups) for s in stages)
