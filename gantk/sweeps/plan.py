"""What the children of a sweep will do, before any starts: networks built, data prepared, steps counted."""

from __future__ import annotations

import json
from typing import Any

from gantk.plugins import Registry
from gantk.progress import Progress
from gantk.recipe.variants import Child

__all__ = ["count_epochs", "count_steps"]


def count_epochs(child: Child, registry: Registry) -> int:
    """Epochs of all stages, from the child's networks built."""
    from gantk.api.checks import build

    with child.named():
        assembly, scheduler = build(child.recipe, registry)
    return sum(stage.epochs for stage in scheduler.stages(list(assembly.translators)))


def count_steps(child: Child, registry: Registry, cohorts: dict[str, Any], progress: Progress) -> int:
    """Steps of all stages, from the child's networks built and its data prepared."""
    from gantk.api.checks import build
    from gantk.api.cohort import open_cohort

    recipe = child.recipe
    with child.named():
        assembly, scheduler = build(recipe, registry)
        key = json.dumps([recipe.data.model_dump(mode="json"), recipe.evaluation.missing])
        if key not in cohorts:
            cohorts[key] = open_cohort(recipe, registry, progress)
        loader = cohorts[key].loader
        stages = scheduler.stages(list(assembly.translators))
        return sum(s.epochs * loader.steps(assembly.plan(s.name, s.roles).groups) for s in stages)
