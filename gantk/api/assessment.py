"""Evaluation of a trained state on the test patients: table, example slices, and where the weight maps weigh."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from gantk.api.cohort import Cohort
from gantk.api.inference import Inference, examples, mean_weights, measured, measured_channels
from gantk.data.batch import Group
from gantk.data.store import PatientSlices
from gantk.evaluation.baselines import baseline
from gantk.evaluation.evaluate import evaluate
from gantk.evaluation.metrics import AnyMetric, CohortMetric
from gantk.evaluation.regions import LABELS
from gantk.evaluation.results import Evaluation, Subjects
from gantk.files import atomic_write
from gantk.memory import enough_memory
from gantk.plugins import Registry
from gantk.progress import Progress
from gantk.recipe import Recipe
from gantk.recipe.model import Region
from gantk.training.state import TrainingState


def make_metrics(recipe: Recipe, registry: Registry) -> dict[str, AnyMetric]:
    """The recipe's metrics by name."""
    where = "evaluation.metrics"
    measures = recipe.evaluation.measures
    return {name: registry.get("metric", name, where).build(given, where) for name, given in measures.items()}


@enough_memory("to evaluate", "evaluation.batch")
def assess(
    state: TrainingState, cohort: Cohort, metrics: dict[str, AnyMetric], folder: Path, progress: Progress
) -> Evaluation:
    """Measure every role and baseline on the test patients and write `evaluation/` below the run's folder.

    Where no test patient has what is measured, only metrics without need of pairs are measured, and without such a
    metric there are pictures alone; a region that no image has apart from the whole is left out.
    """
    recipe = state.recipe
    settings = recipe.evaluation
    pairs = cohort.measured(cohort.split.test, recipe)
    patients, alone = (pairs, []) if pairs else _unpaired(cohort, recipe, metrics)
    last = state.scheduler.stages(list(state.translators))[-1]
    plan = state.assembly.plan(last.name, last.roles)
    inference = Inference(state, plan)
    predictors = {role: inference.predictor(role) for role in recipe.evaluated}
    outputs = len(measured_channels(state))
    for name in settings.baselines if pairs else ():
        training = measured(state, _training(cohort, settings.batch))
        predictors[name] = baseline(name, state.assembly.layout, outputs, training)
    weights = _Weights()

    def groups(patient: str) -> Iterator[Group]:
        for group in cohort.loader.patient(patient, settings.batch):
            group = group.to(state.device)
            inference.see(group)
            yield from measured(state, [group])
            if pairs and plan.maps:  # after the translations, which maps then need not make again
                weights.add(inference.weights(), group)

    evaluation = evaluate(
        predictors,
        groups,
        patients,
        metrics,
        _regions(settings.regions, [cohort.store[patient] for patient in patients]),
        device=state.device,
        progress=progress,
        split_hash=cohort.split.hash,
        settings=recipe.data.model_dump(include={"crop", "spacing", "normalisation"})
        | recipe.data.model_dump(include={"intensities", "labels"}, exclude_defaults=True)
        | ({"foreground": recipe.data.mask} if recipe.data.mask else {})
        | {"targets": recipe.measured, "mask": settings.mask},
        paired=bool(pairs),
        targets=alone,
    )
    evaluation = replace(
        evaluation,
        images={patient: _known_by(cohort, patient, recipe) for patient in patients},
        subjects=Subjects("patient" if cohort.split.owners else cohort.store.noun, cohort.split.on_training),
    )
    out = folder / "evaluation"
    if patients:
        evaluation.write(out)
    rows = cohort.loader.panel_rows(pairs or cohort.shown(cohort.split.test), settings.examples)
    if rows:
        examples(state, plan, cohort.loader.rows(rows), recipe.evaluated, recipe).save(out / "examples.npz")
    if plan.maps and pairs:
        with atomic_write(out / "weights.json") as temporary:
            temporary.write_text(json.dumps(weights.means, indent=1) + "\n", encoding="utf-8")
    return evaluation


def _known_by(cohort: Cohort, patient: str, recipe: Recipe) -> dict[str, float]:
    """What tells a patient's images from others that are called alike: the targets' scales, and the tumour's size."""
    slices = cohort.store[patient]
    scales = {
        name: cohort.meaning.scale(name, slices.scales[name]).upper for name in recipe.measured if name in slices.scales
    }
    return scales | ({"tumour": float(slices.tumour_area.sum())} if slices.has_segmentation else {})


class _Weights:
    """Where weight maps weigh: their means in tumour and in healthy brain."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))

    def add(self, weights: Mapping[str, Tensor], group: Group) -> None:
        """Take in the maps on slices with their segmentation."""
        for name, regions in mean_weights(weights, group).items():
            for region, (total, count) in regions.items():
                self.sums[name][region][0] += total
                self.sums[name][region][1] += count

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """By map and region."""
        return {n: {r: s / max(c, 1) for r, (s, c) in regions.items()} for n, regions in self.sums.items()}


def _unpaired(cohort: Cohort, recipe: Recipe, metrics: Mapping[str, AnyMetric]) -> tuple[list[str], list[str]]:
    """Without pairs: the test patients with inputs and those with targets; none where no metric can use them."""
    shown = cohort.shown(cohort.split.test)
    targets = [p for p in cohort.split.test if set(recipe.measured) <= set(cohort.store[p].modalities)]
    usable = any(isinstance(metric, CohortMetric) and not metric.paired for metric in metrics.values())
    return (shown, targets) if usable and shown and targets else ([], [])


def _regions(named: Sequence[Region], patients: Sequence[PatientSlices]) -> list[Region]:
    """The regions that differ from the whole image somewhere."""
    apart = {
        "brain": any((slices.brain_area < slices.pixels).any() for slices in patients),
    } | dict.fromkeys(LABELS, any(slices.has_segmentation for slices in patients))
    return [region for region in named if apart.get(region, True)] or ["image"]


def _training(cohort: Cohort, size: int) -> Iterator[Group]:
    for patient in cohort.split.paired:
        yield from cohort.loader.patient(patient, size)
