"""Checking a recipe without training."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from gantk.api.assessment import make_metrics
from gantk.api.forecast import Costs, Forecast, forecast, together
from gantk.api.listing import Listing, list_cohort, make_dataset, make_sampler
from gantk.api.preflight import check_images, check_listing, without_segmentation
from gantk.api.sources import find_sources
from gantk.data.layout import Layout
from gantk.data.loader import members
from gantk.data.split import ROLES
from gantk.errors import DataError, RecipeError, nearest
from gantk.evaluation.protocols import epoch_metrics
from gantk.memory import enough_memory
from gantk.plugins import Registry, Session, load_plugins
from gantk.progress import Progress, QuietProgress
from gantk.recipe import Recipe, load_recipe, located
from gantk.recipe.load import Given
from gantk.recipe.overrides import Changes
from gantk.recipe.values import Selection
from gantk.recipe.variants import is_sweep, load_sweep
from gantk.tracking.address import check_recipe
from gantk.training.device import pick_device
from gantk.training.engine import check_stages
from gantk.training.rehearsal import rehearse
from gantk.training.scheduler import MetricName, Scheduler, Together
from gantk.translation import Assembly, Chain, assemble
from gantk.translation.placing import check_roles
from gantk.translation.shapes import fitting_size


def make_scheduler(recipe: Recipe, registry: Registry) -> Scheduler:
    """The recipe's scheduler, after checking the roles that it names and the stages that the recipe names.

    Raises:
        RecipeError: the scheduler, a parameter, a role or a stage is wrong.
    """
    made = []
    for where, selection in _schedules(recipe):
        component = registry.get("scheduler", selection.use, f"{where}.use")
        values = component.check(selection.parameters, where)
        made.append(component.make(values, where))
        check_roles(component, values, where, recipe)
    scheduler: Scheduler = made[0] if len(made) == 1 else Together(made)
    stages = check_stages(recipe, scheduler.stages(recipe.learning))
    for stage in stages:
        for role in stage.roles:
            if role not in recipe.translators:
                raise RecipeError(
                    f"the schedule trains {role!r}, which is not a translator",
                    where="schedule",
                    mend=nearest(role, recipe.translators),
                )
            if role not in recipe.learning:
                raise RecipeError(
                    f"the stage {stage.name!r} trains {role!r}, which is an average and is not trained itself",
                    where="schedule",
                    mend=f"train {recipe.translators[role].average_of!r}",
                )
    return scheduler


def _schedules(recipe: Recipe) -> list[tuple[str, Selection]]:
    """The recipe's scheduler and the additional ones, each with its place in the recipe."""
    also = [(f"schedule.also.{number}", selection) for number, selection in enumerate(recipe.schedule.also)]
    return [("schedule", recipe.schedule), *also]


def watched(recipe: Recipe, registry: Registry) -> list[tuple[str, str]]:
    """The metrics that are watched after epochs, by the recipe's key."""
    best = recipe.training.keep_best
    keys = [] if best is None else [("training.keep_best.metric", best.metric)]
    for where, selection in _schedules(recipe):
        component = registry.get("scheduler", selection.use, f"{where}.use")
        found = component.named(component.check(selection.parameters, where))
        keys += [(f"{where}.{parameter}", name) for parameter, kind, name in found if kind is MetricName]
    return keys


def build(recipe: Recipe, registry: Registry) -> tuple[Assembly, Scheduler]:
    """Build everything that a recipe names: networks, terms, maps and the scheduler; check dataset and metrics.

    One training step of every stage runs on random images.

    Args:
        recipe: the recipe.
        registry: the components.

    Raises:
        RecipeError: anything in the recipe is wrong.
        GantkError: a training step would raise this error.
    """
    try:
        _check_watched(recipe, registry)
        assembly, scheduler = _build(recipe, registry)
        _check_trained(recipe, assembly, scheduler)
        rehearse(recipe, assembly, scheduler.stages(recipe.learning))
    except RecipeError as error:
        raise located(error, recipe) from None
    return assembly, scheduler


def rebuild(recipe: Recipe, registry: Registry) -> tuple[Assembly, Scheduler]:
    """Like `build`, for a trained run: metrics that its scheduler watched may be missing now."""
    try:
        return _build(recipe, registry)
    except RecipeError as error:
        raise located(error, recipe) from None


def _check_watched(recipe: Recipe, registry: Registry) -> None:
    """Check that every watched metric is measured after epochs."""
    made = make_metrics(recipe, registry)
    metrics = {**epoch_metrics(made, paired=True), **epoch_metrics(made, paired=False)}
    for key, name in watched(recipe, registry):
        if name not in metrics:
            raise RecipeError(
                f"the metric {name!r} is monitored, but it is not measured after epochs",
                where=key,
                mend=f"{nearest(name, metrics)}; evaluation.metrics sets what is measured",
            )


def _check_trained(recipe: Recipe, assembly: Assembly, scheduler: Scheduler) -> None:
    """Check that terms read no other translator that is still as it was drawn: neither trained so far nor loaded."""
    trained = {role for role, settings in recipe.translators.items() if settings.weights is not None}
    for stage in scheduler.stages(recipe.learning):
        trained |= set(stage.roles)
        plan = assembly.plan(stage.name, stage.roles)
        for term in plan.terms:
            for role in dict.fromkeys(role for needs in plan.needs(term) for role in needs.roles):
                own = recipe.translators[role].average_of or role
                if own not in trained:
                    raise RecipeError(
                        f"the term reads {role!r}, but no stage up to {stage.name!r} trains it",
                        where=f"losses.{term.name}",
                        mend=f"let [schedule] train {own!r} too, or set translators.{own}.weights",
                    )


def _build(recipe: Recipe, registry: Registry) -> tuple[Assembly, Scheduler]:
    check_recipe(recipe.tracking)
    dataset = make_dataset(recipe, registry)
    channels = getattr(dataset, "channels", 1)
    check_images(recipe, Layout.of(recipe.data, channels))
    make_metrics(recipe, registry)
    make_sampler(recipe, registry)
    scheduler = make_scheduler(recipe, registry)
    with enough_memory("for the networks", "the networks' channels, blocks or pools, or data.crop"):
        assembly = assemble(recipe, registry, channels)
    _check_window(recipe, assembly)
    for stage in scheduler.stages(recipe.learning):
        if not assembly.plan(stage.name, stage.roles).terms:
            raise RecipeError(f"no term is active in the stage {stage.name!r}", where="losses")
    return assembly, scheduler


def _check_window(recipe: Recipe, assembly: Assembly) -> None:
    """Check that the generators used for prediction accept the recipe's windows."""
    window = recipe.inference.window
    if window is None:
        return
    for role in recipe.evaluated:
        fitting = fitting_size(Chain(assembly.translators, role), window, recipe.data.image_size)
        if fitting != window:
            larger = f", such as {list(fitting)}" if fitting else f": {list(recipe.data.image_size)}"
            raise RecipeError(
                f"the generator of {role!r} does not take windows of {' × '.join(map(str, window))}",
                where="inference.window",
                mend=f"name a size that it accepts{larger}",
            )


def look(recipe: Recipe, registry: Registry, assembly: Assembly, scheduler: Scheduler, progress: Progress) -> Listing:
    """List and split the patients, and check that each batch group has some; no image is read.

    Raises:
        RecipeError: a metric that the scheduler watches has no value.
        DataError: the patients cannot be listed, lack images that the recipe names, or a group has no patient.
    """
    try:
        listing = list_cohort(recipe, registry, progress)
        plans = [assembly.plan(stage.name, stage.roles) for stage in scheduler.stages(recipe.learning)]
        paired = bool(listing.measured(listing.split.validation, recipe))
        metrics = epoch_metrics(make_metrics(recipe, registry), paired=paired)
        unknown = [(key, name) for key, name in watched(recipe, registry) if name not in metrics]
        check_listing(recipe, listing, plans, unknown, paired)
        for note in without_segmentation(listing, plans):
            progress.note(note)
    except (RecipeError, DataError) as error:
        raise located(error, recipe) from error.__cause__
    return listing


def _counted(listing: Listing) -> dict[str, Any]:
    """The number of patients by their images and by their role."""
    images = Counter(modality for subject in listing.subjects for modality in subject.files)
    split = {role: len(getattr(listing.split, role)) for role in ROLES}
    left_out = {"left_out": len(listing.left_out)} if listing.left_out else {}
    return {"listed": len(listing.subjects), **left_out, **split, "images": dict(sorted(images.items()))}


def dry_run(path: Given, overrides: Changes = (), device: str = "auto", *, measure: bool = False) -> dict[str, Any]:
    """Build everything that a recipe names, list the patients, and describe the training; reads no image.

    For sweeps, `runs` has the plan of every run by its id, and `forecast` the cost of all runs.

    Args:
        path: the recipe.
        overrides: laid over it.
        device: where steps are measured.
        measure: train copies of the networks for two steps, once for runs that differ only in seed or fold, and
            forecast the time of everything.

    Raises:
        RecipeError: something is wrong.
        DataError: the patients cannot be listed, or lack what the recipe names.
    """
    session, chosen = load_plugins(), pick_device(device)
    costs = Costs(chosen) if measure else None
    if not is_sweep(path):
        recipe = load_recipe(path, overrides)
        return _plan(recipe, session, chosen, costs)[0]
    sweep = load_sweep(path, overrides)
    plans: dict[str, tuple[dict[str, Any], Forecast | None]] = {}
    runs, forecasts = {}, []
    for child in sweep.selected:
        if child.work not in plans:
            with child.named():
                plans[child.work] = _plan(child.recipe, session, chosen, costs)
        plan, known = plans[child.work]
        runs[child.id] = {**plan, "recipe": child.recipe.name, "label": child.label}
        forecasts += [] if known is None else [known]
    return {"recipe": sweep.name, "runs": runs, **({"forecast": together(forecasts)} if measure else {})}


def _weight_words(weight: float | Selection) -> float | str:
    """A weight, or its schedule in words: `ramp: to 5.0, steps 4000`."""
    if not isinstance(weight, Selection):
        return weight
    return f"{weight.use}: " + ", ".join(f"{key} {value}" for key, value in weight.parameters.items())


def _plan(
    recipe: Recipe, session: Session, device: torch.device, costs: Costs | None
) -> tuple[dict[str, Any], Forecast | None]:
    assembly, scheduler = build(recipe, session.registry)
    find_sources(recipe)
    listing = look(recipe, session.registry, assembly, scheduler, QuietProgress())
    translators: dict[str, Any] = {}
    for role, translator in assembly.translators.items():
        settings = recipe.translators[role]
        uses = {
            "generator": settings.generator.use,
            "heads": ", ".join(translator.heads),
            "critics": ", ".join(translator.critics),
            "discriminator": settings.discriminator.use if settings.discriminator else "",
        }
        translators[role] = {
            "takes": list(recipe.data.inputs if settings.takes is None else settings.takes),
            "gives": list(settings.gives or recipe.data.targets),
            **({"auxiliary": True} if settings.auxiliary else {}),
            **({} if settings.average_of is None else {"average_of": settings.average_of, "decay": settings.decay}),
        } | {
            part: {"use": uses[part], "parameters": sum(p.numel() for p in module.parameters())}
            for part, module in translator.parts()
        }
    stages = []
    for stage in scheduler.stages(recipe.learning):
        plan = assembly.plan(stage.name, stage.roles)
        stages.append(
            {
                "name": stage.name,
                "epochs": stage.epochs,
                "roles": list(stage.roles),
                "steps_per_epoch": recipe.data.steps_per_epoch,  # otherwise unknown until slices are read
                "groups": {group: recipe.data.batch[group] for group in plan.groups},
                "patients": {
                    group: len(listing.split.patients_of(members(listing.split, group))) for group in plan.groups
                },
                "terms": {
                    term.name: {
                        "on": term.role,
                        "group": term.group,
                        "map": term.map if term.map in plan.maps else None,
                        "weight": _weight_words(recipe.losses[term.name].weight),
                    }
                    for term in plan.terms
                },
            }
        )
    known = None if costs is None else forecast(recipe, assembly, scheduler, listing, costs)
    told = {
        "recipe": recipe.name,
        "description": recipe.description,
        "device": str(device),
        "precision": recipe.run.precision,
        "dataset": recipe.data.dataset,
        "inputs": recipe.data.inputs,
        "targets": list(recipe.data.targets),
        "crop": list(recipe.data.crop),
        "patients": _counted(listing),
        "transforms": {slot.name: type(slot.component).__name__ for slot in assembly.transforms},
        "translators": translators,
        "stages": stages,
        **({} if known is None else {"forecast": known.told()}),
        "schedule": " + ".join(selection.use for _, selection in _schedules(recipe)),
        "evaluation": {"metrics": [*recipe.evaluation.measures], "baselines": recipe.evaluation.baselines},
        "plugins": [
            {"name": p.name, "version": p.version, "state": p.state, "reason": p.reason} for p in session.plugins
        ],
    }
    return told, known
