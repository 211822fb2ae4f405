"""Evaluation of a trained state on the test patients: table, example slices, and mean weights of the weight maps."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gantk.api.cohort import Cohort
from gantk.api.inference import (
    Inference,
    examples,
    mean_weights,
    measured,
    measured_channels,
    there_and_back,
)
from gantk.data.batch import Group
from gantk.data.meaning import Absolute, Meaning
from gantk.data.prepared import PatientSlices
from gantk.evaluation.baselines import baseline
from gantk.evaluation.evaluate import evaluate
from gantk.evaluation.examples import TARGET_EXAMPLES, Examples
from gantk.evaluation.intensities import INTENSITIES, Intensities
from gantk.evaluation.protocols import AnyMetric, ToUnits, UnitMetric, VolumeMetric, slice_metrics, unpaired_metrics
from gantk.evaluation.regions import regions_apart
from gantk.evaluation.results import Evaluation, Row
from gantk.evaluation.subjects import Subjects
from gantk.evaluation.weights import WEIGHTS
from gantk.files import atomic_write, sealed
from gantk.memory import enough_memory
from gantk.plugins import Registry
from gantk.plugins.dimensions import dimensions_of
from gantk.progress import Progress
from gantk.recipe import Recipe
from gantk.recipe.values import Region
from gantk.runs.names import EVALUATION
from gantk.training.device import images_at_once
from gantk.training.state import TrainingState
from gantk.training.world import World


def make_metrics(recipe: Recipe, registry: Registry) -> dict[str, AnyMetric]:
    """The recipe's metrics by name, and those of whole volumes, `volume_ssim`, where it measures these."""
    where = "evaluation.metrics"
    metrics: dict[str, AnyMetric] = {}
    volumes: dict[str, AnyMetric] = {}
    for name, given in recipe.evaluation.measures.items():
        component = registry.get("metric", name, where)
        metrics[name] = component.build(given, where, dimensions=2)
        if recipe.measures_volumes and name in slice_metrics(metrics) and 3 in dimensions_of(component):
            volumes[f"volume_{name}"] = VolumeMetric(component.build(given, where, dimensions=3))
    return metrics | volumes


def cohort_metrics(recipe: Recipe, registry: Registry, cohort: Cohort, progress: Progress) -> dict[str, AnyMetric]:
    """The recipe's metrics by name; metrics in physical units are bound to the cohort's unit, or left out with a
    note."""
    metrics = make_metrics(recipe, registry)
    bound = in_units(metrics, cohort.meaning, recipe.measured, cohort.loader.layout.channels)
    for name in metrics.keys() - bound.keys():
        progress.note(f"{name} is left out: {', '.join(recipe.measured)} has no absolute unit")
    return bound


def in_units(
    metrics: Mapping[str, AnyMetric], meaning: Meaning, targets: Sequence[str], channels: int
) -> dict[str, AnyMetric]:
    """Metrics by name; metrics in physical units are bound to the targets' unit, or left out if a target has no
    absolute unit.

    Args:
        metrics: by name.
        meaning: of the targets' numbers.
        targets: the modalities that are measured, in their order.
        channels: of one image.
    """
    to_units = _to_units(meaning, targets, channels)
    bound: dict[str, AnyMetric] = {}
    for name, metric in metrics.items():
        own = metric.metric if isinstance(metric, VolumeMetric) else metric
        if not isinstance(own, UnitMetric):
            bound[name] = metric
        elif to_units is not None:
            in_units = own.in_units(to_units)
            bound[name] = VolumeMetric(in_units) if isinstance(metric, VolumeMetric) else in_units
    return bound


def _to_units(meaning: Meaning, targets: Sequence[str], channels: int) -> ToUnits | None:
    """The factors from [0, 1] to the units of the measured targets; None if a target has no absolute unit."""
    scales = [known.scale for name in targets if isinstance(known := meaning.intensities[name], Absolute)]
    if len(scales) < len(targets):
        return None

    def to_units(images: Tensor) -> Tensor:
        planes = images.detach().cpu().numpy().astype(np.float64) * 2 - 1
        stack = [scales[plane // channels].invert(planes[:, plane]) for plane in range(planes.shape[1])]
        return torch.from_numpy(np.stack(stack, axis=1)).to(images.device)

    return to_units


@enough_memory("to evaluate", "evaluation.batch")
def assess(
    state: TrainingState,
    cohort: Cohort,
    metrics: dict[str, AnyMetric],
    folder: Path,
    progress: Progress,
    world: World | None = None,
) -> Evaluation:
    """Measure every role and baseline on the test patients and write `evaluation/` below the run's folder.

    Several processes share the patients, and the first of them writes.

    If no test patient has the measured images, only metrics that need no pairs are computed, and without such a metric
    only pictures are made; a region that no image has apart from the whole is left out.
    """
    world = world or World()
    recipe = state.recipe
    settings = recipe.evaluation
    pairs = cohort.measured(cohort.split.test, recipe)
    patients, alone = (pairs, []) if pairs else _unpaired(cohort, recipe, metrics)
    last = state.scheduler.stages(recipe.learning)[-1]
    plan = state.assembly.plan(last.name, last.roles)
    inference = Inference(state, plan, cohort.loader)
    predictors = {role: inference.predictor(role) for role in recipe.evaluated}
    outputs = len(measured_channels(state))
    for name in settings.baselines if pairs else ():
        training = measured(state, _training(cohort, settings.batch))
        predictors[name] = baseline(name, state.assembly.layout, outputs, training)
    regions = _regions(settings.regions, [cohort.store[patient] for patient in patients])
    weights, intensities = _Weights(), Intensities(regions)
    size = images_at_once(state.device, settings.batch, recipe.data.crop)

    def groups(patient: str) -> Iterator[Group]:
        for group in cohort.loader.patient(patient, size):
            group = group.to(state.device)
            inference.see(group)
            yield from measured(state, [group])
            if pairs and plan.maps:  # after the translations, so that maps can use them
                weights.add(inference.weights(), group)

    evaluation = evaluate(
        predictors,
        groups,
        patients,
        metrics,
        regions,
        device=state.device,
        progress=progress,
        split_hash=cohort.split.hash,
        settings=recipe.data.model_dump(include={"crop", "spacing", "normalisation"})
        | recipe.data.model_dump(include={"intensities", "labels"}, exclude_defaults=True)
        | ({"foreground": recipe.data.mask} if recipe.data.mask else {})
        | {"targets": recipe.measured, "mask": settings.mask},
        paired=bool(pairs),
        targets=alone,
        watch=intensities.add,
        world=world,
    )
    weights.join(world.gather(weights.sums))
    intensities.join(world.gather(intensities.sums))
    if not world.first:
        return evaluation
    evaluation = replace(
        evaluation,
        rows=[_answered(row, cohort) for row in evaluation.rows],
        images={patient: _known_by(cohort, patient, recipe) for patient in patients},
        subjects=Subjects(
            "patient" if cohort.split.owners else cohort.store.noun,
            cohort.split.on_training,
            recipe.data.crop,
            cohort.left_out,
        ),
        checkpoint=_told(state),
    )
    out = folder / EVALUATION
    if patients:
        evaluation.write(out)
        if pairs:
            intensities.write(out / INTENSITIES, lambda one: not _lacking(one.method, one.subject, cohort))
    rows = cohort.loader.panel_rows(pairs or cohort.shown(cohort.split.test), settings.examples)
    if rows:
        group = cohort.loader.rows(rows)
        shown = examples(state, plan, group, recipe.evaluated, recipe, cohort.loader)
        if not pairs and group.source is not None:
            shown = shown.plus(there_and_back(state, group, "source", cohort.loader))
        shown.save(out / "examples.npz")
    if not pairs:
        _show_targets(state, cohort, out / TARGET_EXAMPLES)
    if plan.maps and pairs:
        with atomic_write(out / WEIGHTS) as temporary:
            temporary.write_text(json.dumps(sealed(weights.means), indent=1) + "\n", encoding="utf-8")
    return evaluation


def _answered(row: Row, cohort: Cohort) -> Row:
    """A row of an evaluation; without values if the method copies an input that the patient lacks."""
    empty = dict.fromkeys(row.values, math.nan)
    return replace(row, values=empty) if _lacking(row.method, row.subject, cohort) else row


def _lacking(method: str, subject: str, cohort: Cohort) -> bool:
    """Whether a method copies an input that a subject lacks."""
    kind, _, name = method.partition(":")
    return kind == "input" and name not in cohort.store[subject].modalities


def _show_targets(state: TrainingState, cohort: Cohort, path: Path) -> None:
    """The opposite direction, for test patients with targets and no inputs: images made from their targets."""
    layout, recipe = state.assembly.layout, state.recipe
    rows = cohort.loader.panel_rows(cohort.targets(cohort.split.test, recipe), recipe.evaluation.examples)
    group = cohort.loader.rows(rows) if rows else None
    if group is None or group.target is None:
        return
    outputs = there_and_back(state, group, "target", cohort.loader)
    if outputs:
        names = {name: group.target[:, list(layout.image("target", name))] for name in recipe.measured}
        Examples.of(group, names, None, {}).plus(outputs).save(path)


def _told(state: TrainingState) -> str:
    """A description of a state's weights."""
    which = f"best {state.recipe.best_metric}" if state.recipe.evaluation.checkpoint == "best" else "last"
    return f"{which}, step {state.position.total}"


def _known_by(cohort: Cohort, patient: str, recipe: Recipe) -> dict[str, float]:
    """Numbers that identify a patient's images: the targets' scales, and the tumor's size."""
    slices = cohort.store[patient]
    scales = {
        name: cohort.meaning.scale(name, slices.scales[name]).upper for name in recipe.measured if name in slices.scales
    }
    return scales | ({"tumour": float(slices.tumour_area.sum())} if slices.has_segmentation else {})


class _Weights:
    """The means of weight maps in tumor and in healthy brain."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[str, tuple[float, int]]] = {}

    def add(self, weights: Mapping[str, Tensor], group: Group) -> None:
        """Add the maps of slices with their segmentation."""
        self.join([self.sums, mean_weights(weights, group)])

    def join(self, parts: Sequence[Mapping[str, Mapping[str, tuple[float, int]]]]) -> None:
        """Combine the sums of several processes."""
        sums: dict[str, dict[str, tuple[float, int]]] = {}
        for part in parts:
            for name, regions in part.items():
                for region, (total, count) in regions.items():
                    before = sums.setdefault(name, {}).get(region, (0.0, 0))
                    sums[name][region] = (before[0] + total, before[1] + count)
        self.sums = sums

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """The means by map and region."""
        return {n: {r: s / max(c, 1) for r, (s, c) in regions.items()} for n, regions in self.sums.items()}


def _unpaired(cohort: Cohort, recipe: Recipe, metrics: Mapping[str, AnyMetric]) -> tuple[list[str], list[str]]:
    """Without pairs: the test patients with inputs, and those with targets; empty if no metric uses them."""
    shown = cohort.shown(cohort.split.test)
    targets = cohort.targets(cohort.split.test, recipe)
    return (shown, targets) if unpaired_metrics(metrics) and shown and targets else ([], [])


def _regions(named: Sequence[Region], patients: Sequence[PatientSlices]) -> list[Region]:
    """The regions that differ from the whole image somewhere."""
    return regions_apart(
        named,
        background=any((slices.brain_area < slices.pixels).any() for slices in patients),
        labels=any(slices.has_segmentation for slices in patients),
    )


def _training(cohort: Cohort, size: int) -> Iterator[Group]:
    for patient in cohort.split.paired:
        yield from cohort.loader.patient(patient, size)
