"""Evaluation of a trained state on the test patients: table, example slices, and where the weight maps weigh."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from gantk.api.cohort import Cohort
from gantk.api.inference import examples, mean_weights, measured, measured_channels, predictor, weigh
from gantk.data.batch import Group
from gantk.data.store import PatientSlices
from gantk.evaluation.baselines import baseline
from gantk.evaluation.evaluate import evaluate
from gantk.evaluation.metrics import Metric
from gantk.evaluation.results import Evaluation
from gantk.files import atomic_write
from gantk.plugins import Registry
from gantk.progress import Progress
from gantk.recipe import Recipe
from gantk.recipe.model import Region
from gantk.training.state import TrainingState


def make_metrics(recipe: Recipe, registry: Registry) -> dict[str, Metric]:
    """The recipe's metrics by name."""
    where = "evaluation.metrics"
    return {name: registry.get("metric", name, where).build({}, where) for name in recipe.evaluation.metrics}


def assess(
    state: TrainingState, cohort: Cohort, metrics: dict[str, Metric], folder: Path, progress: Progress
) -> Evaluation:
    """Measure every role and baseline on the test patients and write `evaluation/` below the run's folder.

    Where no test patient has what is measured there are pictures alone; a region that no image has apart from the
    whole is left out.
    """
    recipe = state.recipe
    settings = recipe.evaluation
    patients = cohort.measured(cohort.split.test, recipe)
    predictors = {role: predictor(state, role) for role in recipe.evaluated}
    outputs = len(measured_channels(state))
    for name in settings.baselines if patients else ():
        training = measured(state, _training(cohort, settings.batch))
        predictors[name] = baseline(name, state.assembly.layout, outputs, training)
    evaluation = evaluate(
        predictors,
        lambda patient: measured(state, cohort.loader.patient(patient, settings.batch)),
        patients,
        metrics,
        _regions(settings.regions, [cohort.store[patient] for patient in patients]),
        device=state.device,
        progress=progress,
        split_hash=cohort.split.hash,
        settings=recipe.data.model_dump(include={"crop", "spacing", "normalisation"})
        | {"targets": recipe.measured, "mask": settings.mask},
    )
    out = folder / "evaluation"
    if patients:
        evaluation.write(out)
    last = state.scheduler.stages(list(state.translators))[-1]
    plan = state.assembly.plan(last.name, last.roles)
    rows = cohort.loader.panel_rows(patients or cohort.shown(cohort.split.test), settings.examples)
    if rows:
        examples(state, plan, cohort.loader.rows(rows), recipe.evaluated, recipe).save(out / "examples.npz")
    if plan.maps and patients:
        sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
        for patient in patients:
            for group in cohort.loader.patient(patient, settings.batch):
                group = group.to(state.device)
                for name, regions in mean_weights(weigh(state, plan, group), group).items():
                    for region, (total, count) in regions.items():
                        sums[name][region][0] += total
                        sums[name][region][1] += count
        means = {n: {r: s / max(c, 1) for r, (s, c) in regions.items()} for n, regions in sums.items()}
        with atomic_write(out / "weights.json") as temporary:
            temporary.write_text(json.dumps(means, indent=1) + "\n", encoding="utf-8")
    return evaluation


def _regions(named: Sequence[Region], patients: Sequence[PatientSlices]) -> list[Region]:
    """The regions that differ from the whole image somewhere."""
    apart = {
        "brain": any((slices.brain_area < slices.pixels).any() for slices in patients),
        "tumour": any(slices.has_segmentation for slices in patients),
    }
    return [region for region in named if apart.get(region, True)] or ["image"]


def _training(cohort: Cohort, size: int) -> Iterator[Group]:
    for patient in cohort.split.paired:
        yield from cohort.loader.patient(patient, size)
