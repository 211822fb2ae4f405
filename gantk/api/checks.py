"""Looking at a recipe without training it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gantk.api.assessment import make_metrics
from gantk.api.cohort import make_dataset
from gantk.errors import RecipeError, nearest
from gantk.plugins import Registry, load_plugins
from gantk.recipe import Recipe, load_recipe, located
from gantk.tracking.address import check_recipe
from gantk.training.device import pick_device
from gantk.training.engine import check_stages
from gantk.training.scheduler import Scheduler
from gantk.translation import Assembly, assemble


def make_scheduler(recipe: Recipe, registry: Registry) -> Scheduler:
    """The recipe's scheduler, with the stages that the recipe names checked.

    Raises:
        RecipeError: the scheduler, a parameter, a role or a stage is wrong.
    """
    component = registry.get("scheduler", recipe.schedule.use, "schedule.use")
    scheduler: Scheduler = component.build(recipe.schedule.parameters, "schedule")
    stages = check_stages(recipe, scheduler.stages(list(recipe.translators)))
    for stage in stages:
        for role in stage.roles:
            if role not in recipe.translators:
                raise RecipeError(
                    f"the schedule trains {role!r}, which is no translator",
                    where="schedule",
                    mend=nearest(role, recipe.translators),
                )
    return scheduler


def build(recipe: Recipe, registry: Registry) -> tuple[Assembly, Scheduler]:
    """Everything a recipe names, built: networks, terms and maps, and the scheduler; dataset and metrics are checked.

    Args:
        recipe: the recipe.
        registry: the components.

    Raises:
        RecipeError: anything in the recipe is wrong.
    """
    try:
        return _build(recipe, registry)
    except RecipeError as error:
        raise located(error, recipe) from None


def _build(recipe: Recipe, registry: Registry) -> tuple[Assembly, Scheduler]:
    check_recipe(recipe.tracking)
    dataset = make_dataset(recipe, registry)
    make_metrics(recipe, registry)
    scheduler = make_scheduler(recipe, registry)
    assembly = assemble(recipe, registry, getattr(dataset, "channels", 1))
    for stage in scheduler.stages(list(recipe.translators)):
        if not assembly.plan(stage.name, stage.roles).terms:
            raise RecipeError(f"no term is active in the stage {stage.name!r}", where="losses")
    return assembly, scheduler


def dry_run(path: str | Path, overrides: Sequence[str] = (), device: str = "auto") -> dict[str, Any]:
    """Build everything that a recipe names and say what would be trained; reads no data, trains nothing.

    Raises:
        RecipeError: something is wrong.
    """
    recipe = load_recipe(path, overrides)
    session = load_plugins()
    assembly, scheduler = build(recipe, session.registry)
    translators: dict[str, Any] = {}
    for role, translator in assembly.translators.items():
        settings = recipe.translators[role]
        uses = {
            "generator": settings.generator.use,
            "heads": ", ".join(translator.heads),
            "discriminator": settings.discriminator.use if settings.discriminator else "",
        }
        translators[role] = {
            "takes": list(settings.takes or recipe.data.inputs),
            "gives": list(settings.gives or recipe.data.targets),
        } | {
            part: {"use": uses[part], "parameters": sum(p.numel() for p in module.parameters())}
            for part, module in translator.parts()
        }
    stages = []
    for stage in scheduler.stages(list(recipe.translators)):
        plan = assembly.plan(stage.name, stage.roles)
        stages.append(
            {
                "name": stage.name,
                "epochs": stage.epochs,
                "roles": list(stage.roles),
                "groups": {group: recipe.data.batch[group] for group in plan.groups},
                "terms": {
                    term.name: {
                        "on": term.role,
                        "group": term.group,
                        "map": term.map if term.map in plan.maps else None,
                        "weight": term.weight,
                    }
                    for term in plan.terms
                },
            }
        )
    return {
        "recipe": recipe.name,
        "description": recipe.description,
        "device": str(pick_device(device)),
        "precision": recipe.run.precision,
        "dataset": recipe.data.dataset,
        "inputs": recipe.data.inputs,
        "targets": list(recipe.data.targets),
        "crop": list(recipe.data.crop),
        "transforms": {slot.name: type(slot.component).__name__ for slot in assembly.transforms},
        "translators": translators,
        "stages": stages,
        "schedule": recipe.schedule.use,
        "evaluation": {"metrics": [*recipe.evaluation.measures], "baselines": recipe.evaluation.baselines},
        "plugins": [
            {"name": p.name, "version": p.version, "state": p.state, "reason": p.reason} for p in session.plugins
        ],
    }
