"""Translate the patients with every method and measure the result per slice, patient and region."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gantk.errors import EvaluationError
from gantk.evaluation.metrics import Metric, PixelMetric, masked_mean
from gantk.evaluation.regions import region_mask
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.progress import Progress

if TYPE_CHECKING:
    from gantk.data.batch import Group

__all__ = ["Predictor", "evaluate", "settings_hash", "to_unit"]

Predictor = Callable[["Group"], Tensor]
"""Translates a group of B slices into images (B, T, H, W) in [-1, 1]; it must not read the target."""


def to_unit(image: Tensor) -> Tensor:
    """Bring images from [-1, 1] to [0, 1], the metrics' range."""
    return (image.float() + 1) / 2


@torch.inference_mode()
def evaluate(
    predictors: Mapping[str, Predictor],
    groups: Callable[[str], Iterator[Group]],
    patients: Sequence[str],
    metrics: Mapping[str, Metric],
    regions: Sequence[str],
    *,
    device: torch.device | str,
    progress: Progress,
    split_hash: str,
    settings: Mapping[str, object] | None = None,
) -> Evaluation:
    """Measure every method on every patient; a patient's value is the mean over slices that have the region.

    Args:
        predictors: the methods by name.
        groups: a patient's slices in order, each group with its target.
        patients: the patients to evaluate.
        metrics: the metrics by name.
        regions: names from `image`, `brain`, `tumour`.
        device: where the groups are brought.
        progress: shows one bar over patients.
        split_hash: the split's hash, recorded.
        settings: what else shapes the numbers (crop, spacing, …), JSON-like, part of the settings hash.

    Raises:
        EvaluationError: where a patient has no target or no slice, or an output is not finite or misshapen.
    """
    columns = {
        _column(name, region): Column(metric.title, region, metric.higher_is_better)
        for region in regions
        for name, metric in metrics.items()
    }
    rows: list[Row] = []
    with progress.task("Evaluating", len(patients)) as bar:
        for patient in patients:
            found: dict[str, dict[str, list[float]]] = {m: defaultdict(list) for m in predictors}
            slices = 0
            for group in groups(patient):
                group = group.to(device)
                if group.target is None:
                    raise EvaluationError(
                        "the patient has no target image",
                        where=patient,
                        mend="Evaluate patients whose target is known.",
                    )
                slices += len(group)
                target = to_unit(group.target)
                masks = {region: region_mask(region, group) for region in regions}
                for method, predictor in predictors.items():
                    prediction = _checked(predictor(group), target, method, patient)
                    for name, metric in metrics.items():
                        for region, values in _measure(metric, prediction, target, masks).items():
                            found[method][_column(name, region)] += values
            if not slices:
                raise EvaluationError("the patient has no slice to evaluate", where=patient)
            rows += [
                Row(patient, method, slices, {c: _mean(by_column[c]) for c in columns})
                for method, by_column in found.items()
            ]
            bar.advance()
    return Evaluation(split_hash, settings_hash(metrics, regions, settings or {}), columns, rows)


def settings_hash(metrics: Mapping[str, Metric], regions: Sequence[str], settings: Mapping[str, object]) -> str:
    """12 hex digits over metrics with their parameters, regions and `settings`, whatever their order."""
    described = {
        "metrics": {name: [type(metric).__qualname__, _parameters(metric)] for name, metric in metrics.items()},
        "regions": sorted(regions),
        "settings": dict(settings),
    }
    text = json.dumps(described, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _parameters(metric: Metric) -> dict[str, object]:
    """Constructor arguments that the metric keeps as attributes of the same name."""
    names = inspect.signature(type(metric)).parameters
    return {name: getattr(metric, name) for name in names if hasattr(metric, name)}


def _column(metric: str, region: str) -> str:
    return metric if region == "image" else f"{metric}_{region}"


def _measure(metric: Metric, prediction: Tensor, target: Tensor, masks: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """By region, the metric of each slice."""
    if isinstance(metric, PixelMetric):
        values = metric.map(prediction, target)
        return {region: masked_mean(values, mask).tolist() for region, mask in masks.items()}
    return {region: metric(prediction, target, mask).tolist() for region, mask in masks.items()}


def _checked(prediction: Tensor, target: Tensor, method: str, patient: str) -> Tensor:
    """The prediction in [0, 1]; a NaN in it must not pass for a slice without the region."""
    if prediction.shape != target.shape:
        raise EvaluationError(
            f"the output of {method!r} has shape {tuple(prediction.shape)}, the target {tuple(target.shape)}",
            where=patient,
        )
    if not prediction.isfinite().all():
        raise EvaluationError(f"the output of {method!r} holds NaN or infinite values", where=patient)
    return to_unit(prediction)


def _mean(values: list[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return math.fsum(known) / len(known) if known else math.nan
