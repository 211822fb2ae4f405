"""Translate the patients with every method and measure the results per slice, patient and region."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gantk.errors import EvaluationError
from gantk.evaluation.metrics import masked_mean
from gantk.evaluation.protocols import (
    AnyMetric,
    CohortMetric,
    Metric,
    PixelMetric,
    VolumeMetric,
    slice_metrics,
    volume_metrics,
)
from gantk.evaluation.regions import region_mask
from gantk.evaluation.results import Column, Evaluation, Row, Statistic
from gantk.progress import Progress
from gantk.training.world import World

if TYPE_CHECKING:
    from gantk.data.batch import Group

__all__ = ["Predictor", "evaluate", "settings_hash", "to_unit"]

Predictor = Callable[["Group"], Tensor]
"""Translates a group of B slices into images (B, T, H, W) in [-1, 1] without reading the target."""


def to_unit(image: Tensor) -> Tensor:
    """Map images from [-1, 1] to [0, 1], the range of the metrics."""
    return (image.float() + 1) / 2


@torch.no_grad()
def evaluate(
    predictors: Mapping[str, Predictor],
    groups: Callable[[str], Iterator[Group]],
    subjects: Sequence[str],
    metrics: Mapping[str, AnyMetric],
    regions: Sequence[str],
    *,
    device: torch.device | str,
    progress: Progress,
    split_hash: str,
    settings: Mapping[str, object] | None = None,
    paired: bool = True,
    targets: Sequence[str] = (),
    watch: Callable[[Group, Mapping[str, Tensor]], None] | None = None,
    world: World | None = None,
) -> Evaluation:
    """Measure every method on every subject; a subject's value is the mean over the slices with the region.

    Metrics of volumes receive all slices of the subject as one volume.

    Metrics over all patients collect their data in the same pass and compute their values after it.

    Args:
        predictors: the methods by name.
        groups: a subject's slices in order, each group with its target and patient.
        subjects: the subjects to evaluate.
        metrics: the metrics by name.
        regions: names from `image`, `brain`, `tumour`, `tc`, `et`.
        device: the device to which the groups are moved.
        progress: shows one bar over subjects.
        split_hash: the split's hash, which is recorded.
        settings: further settings that affect the numbers (crop, spacing, …), JSON-like, part of the settings hash.
        paired: whether each subject has a target; if not, only metrics that need no pairs are measured.
        targets: further subjects of which only the target is used.
        watch: called with every group and each method's images of it, in [0, 1].
        world: the processes that share the subjects; all of them return all rows. With a metric over all patients, only
            the first process measures.

    Raises:
        EvaluationError: a subject has no target or no slice, or an output is not finite or has the wrong shape.
    """
    used = {n: m for n, m in metrics.items() if paired or (isinstance(m, CohortMetric) and not m.paired)}
    by_slice, of_volumes = slice_metrics(used), volume_metrics(used)
    measures: dict[str, Metric | VolumeMetric] = {**by_slice, **of_volumes}
    columns = {
        _column(name, region): Column(metric.title, region, metric.higher_is_better)
        for region in regions
        for name, metric in measures.items()
    }
    collections = []
    for metric in used.values():
        if isinstance(metric, CohortMetric):
            columns |= metric.columns
            collections.append(metric.collect())
    world = world or World()
    if collections and not world.first:
        collections, own, targets = [], [], ()
    else:
        own = list(subjects) if collections else list(subjects[world.rank :: world.size])
    rows: list[Row] = []
    with progress.task("Evaluating", len(own) + len(targets)) as bar:
        for subject in own:
            found: dict[str, dict[str, list[Tensor]]] = {m: defaultdict(list) for m in predictors}
            slices, patient = 0, subject
            volume = _Volume(of_volumes)
            for group in groups(subject):
                group = group.to(device)
                if paired and group.target is None:
                    raise EvaluationError(
                        "there is no target image",
                        where=subject,
                        mend="evaluate subjects with a target",
                    )
                slices, patient = slices + len(group), group.patients[0]
                images = _checked({m: predict(group) for m, predict in predictors.items()}, group, subject)
                if (by_slice or of_volumes) and group.target is not None:
                    target = to_unit(group.target)
                    masks = {region: region_mask(region, group) for region in regions}
                    for method, prediction in images.items():
                        for name, metric in by_slice.items():
                            for region, values in _measure(metric, prediction, target, masks).items():
                                found[method][_column(name, region)].append(values)
                    volume.add(target, images, masks)
                for collection in collections:
                    collection.add(group, images)
                if watch is not None:
                    watch(group, images)
            if not slices:
                raise EvaluationError("there is no slice to evaluate", where=subject)
            for method, of_volume in volume.measured():
                found[method] |= of_volume
            rows += [
                Row(patient, method, slices, {c: _mean(by_column[c]) for c in columns}, subject)
                for method, by_column in found.items()
            ]
            bar.advance()
        for subject in targets:
            for group in groups(subject):
                for collection in collections:
                    collection.add(group.to(device), {})
            bar.advance()
    place = {subject: number for number, subject in enumerate(subjects)}
    rows = sorted((row for part in world.gather(rows) for row in part), key=lambda row: place[row.subject])
    overall: dict[str, dict[str, Statistic]] = {}
    for collection in collections:
        findings = collection.conclude(progress)
        rows = _joined(rows, findings.patients, columns)
        for method, statistics in findings.overall.items():
            overall.setdefault(method, {}).update(statistics)
    return Evaluation(split_hash, settings_hash(used, regions, settings or {}), columns, rows, overall)


class _Volume:
    """The slices of a subject, collected in order and finally measured as one volume."""

    def __init__(self, metrics: Mapping[str, VolumeMetric]) -> None:
        self._metrics = metrics
        self._slices: dict[str, list[Tensor]] = defaultdict(list)  # by target, method and region
        self._methods: list[str] = []
        self._regions: list[str] = []

    def add(self, target: Tensor, images: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
        """Add the next slices (B, T, H, W) of the target and the methods, and regions (B, 1, H, W)."""
        if self._metrics:
            self._methods, self._regions = list(images), list(masks)
            found = {"target": target} | {f"method {n}": i for n, i in images.items()}
            for name, slices in {**found, **{f"region {n}": m for n, m in masks.items()}}.items():
                self._slices[name].append(slices)

    def measured(self) -> Iterator[tuple[str, dict[str, list[Tensor]]]]:
        """The value of each column, by method."""
        volumes = {name: torch.cat(slices).movedim(0, 1)[None] for name, slices in self._slices.items()}
        masks = {region: volumes[f"region {region}"] for region in self._regions}
        for method in self._methods:
            values: dict[str, list[Tensor]] = {}
            for name, metric in self._metrics.items():
                made = _measure(metric.metric, volumes[f"method {method}"], volumes["target"], masks)
                values |= {_column(name, region): [one] for region, one in made.items()}
            yield method, values


def _joined(
    rows: Sequence[Row], found: Mapping[tuple[str, str], Mapping[str, float]], columns: Mapping[str, Column]
) -> list[Row]:
    """Add a patient's values to the rows of all its subjects; methods without rows are appended."""
    known = {(row.patient, row.method) for row in rows}
    new: dict[str, list[str]] = {}
    for patient, method in found:
        if (patient, method) not in known:
            new.setdefault(patient, []).append(method)
    empty = dict.fromkeys(columns, math.nan)
    first = {row.subject: row for row in reversed(rows)}
    every = [*rows]
    for row in reversed(first.values()):
        every += [replace(row, method=method, values=empty) for method in new.get(row.patient, [])]
    return [replace(row, values={**row.values, **found.get((row.patient, row.method), {})}) for row in every]


def settings_hash(metrics: Mapping[str, AnyMetric], regions: Sequence[str], settings: Mapping[str, object]) -> str:
    """12 hex digits over metrics with their parameters, regions and `settings`, independent of their order."""
    described = {
        "metrics": {
            name: [type(metric).__qualname__, _parameters(metric)]
            for name, metric in metrics.items()
            if not isinstance(metric, VolumeMetric)  # values of slices compare with or without volume metrics
        },
        "regions": sorted(regions),
        "settings": dict(settings),
    }
    text = json.dumps(described, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _parameters(metric: AnyMetric) -> dict[str, object]:
    """The constructor arguments that the metric keeps as attributes of the same name."""
    names = inspect.signature(type(metric)).parameters
    return {name: getattr(metric, name) for name in names if hasattr(metric, name)}


def _column(metric: str, region: str) -> str:
    return metric if region == "image" else f"{metric}_{region}"


def _measure(metric: Metric, prediction: Tensor, target: Tensor, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The metric of each slice (B,), by region. Does not wait for the device, so that reading continues meanwhile."""
    if isinstance(metric, PixelMetric):
        values = metric.map(prediction, target)
        return {region: masked_mean(values, mask) for region, mask in masks.items()}
    return {region: metric(prediction, target, mask) for region, mask in masks.items()}


def _checked(predictions: Mapping[str, Tensor], group: Group, patient: str) -> dict[str, Tensor]:
    """The methods' predictions in [0, 1]; NaN is an error because it would look like a slice without the region."""
    for method, prediction in predictions.items():
        if group.target is not None and prediction.shape != group.target.shape:
            raise EvaluationError(
                f"the output of {method!r} has shape {tuple(prediction.shape)}, the target {tuple(group.target.shape)}",
                where=patient,
            )
    for method, finite in {method: made.isfinite().all() for method, made in predictions.items()}.items():
        if not finite:
            raise EvaluationError(f"the output of {method!r} holds NaN or infinite values", where=patient)
    return {method: to_unit(prediction) for method, prediction in predictions.items()}


def _mean(parts: list[Tensor]) -> float:
    known = [v for values in parts for v in values.tolist() if not math.isnan(v)]
    return math.fsum(known) / len(known) if known else math.nan
