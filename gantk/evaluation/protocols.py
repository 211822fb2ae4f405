"""The interfaces of metrics: per slice, per pixel, in units, over a cohort; images are in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

if TYPE_CHECKING:
    from gantk.data.batch import Group
    from gantk.evaluation.results import Column, Statistic
    from gantk.progress import Progress

__all__ = [
    "AnyMetric",
    "CohortMetric",
    "Collection",
    "Findings",
    "Metric",
    "PixelMetric",
    "ToUnits",
    "UnitMetric",
    "VolumeMetric",
    "epoch_metrics",
    "slice_metrics",
    "unpaired_metrics",
    "volume_metrics",
]


class Metric(Protocol):
    """A component of kind `metric`: a plain class with two class attributes and a call."""

    higher_is_better: bool
    title: str

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """The metric of each slice or volume inside its mask.

        Args:
            prediction: (B, T, *spatial) float in [0, 1].
            target: (B, T, *spatial) float in [0, 1].
            mask: (B, 1, *spatial) bool, the region.

        Returns:
            (B,) float; NaN if the mask is empty.
        """


@runtime_checkable
class PixelMetric(Metric, Protocol):
    """A metric that is the mean of a map inside the region; the map is computed once for all regions."""

    def map(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1] → (B, T, *spatial)."""


ToUnits = Callable[[Tensor], Tensor]
"""Converts images (B, T, *spatial) in [0, 1] to the units of the targets."""


@runtime_checkable
class UnitMetric(Metric, Protocol):
    """A metric in the targets' own units; omitted if a measured target has no absolute unit."""

    def in_units(self, to_units: ToUnits) -> Metric:
        """The metric for images that `to_units` converts to the targets' units."""


@dataclass(frozen=True)
class Findings:
    """The values of a metric over all patients.

    Args:
        patients: by patient and method, values by column; the metric may add methods, such as a bound.
        overall: by method, the columns with one number for all patients together.
    """

    patients: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    overall: Mapping[str, Mapping[str, Statistic]] = field(default_factory=dict)


class Collection(Protocol):
    """The accumulator of a cohort metric for one evaluation."""

    def add(self, group: Group, images: Mapping[str, Tensor]) -> None:
        """Add the next slices of one subject; subjects follow one after the other, and `group.patients` has their ids.

        Args:
            group: the slices; its target is None if the patient has no target.
            images: each method's images of them, (B, T, *spatial) float in [0, 1]; empty for a patient with only a
                target.
        """

    def conclude(self, progress: Progress) -> Findings:
        """Compute the values after all patients have been added."""


@runtime_checkable
class CohortMetric(Protocol):
    """A component of kind `metric` whose value depends on all patients together.

    Attributes:
        higher_is_better: whether larger values are better.
        title: title of its columns.
        paired: whether it needs the target of every patient.
        columns: its columns by name.
    """

    higher_is_better: bool
    title: str
    paired: bool
    columns: Mapping[str, Column]

    def collect(self) -> Collection:
        """Start an evaluation."""


@dataclass(frozen=True)
class VolumeMetric:
    """A metric of single images, measured on all slices of a subject as one volume.

    Attributes:
        metric: a metric that works on volumes.
    """

    metric: Metric

    @property
    def higher_is_better(self) -> bool:
        """Whether larger values are better."""
        return self.metric.higher_is_better

    @property
    def title(self) -> str:
        """The title, such as `SSIM 3D`."""
        return f"{self.metric.title} 3D"


AnyMetric = Metric | CohortMetric | VolumeMetric
"""A component of kind `metric`, or one of volumes."""


def slice_metrics(metrics: Mapping[str, AnyMetric]) -> dict[str, Metric]:
    """The metrics that score individual slices."""
    others = CohortMetric | VolumeMetric
    return {name: metric for name, metric in metrics.items() if not isinstance(metric, others)}


def volume_metrics(metrics: Mapping[str, AnyMetric]) -> dict[str, VolumeMetric]:
    """The metrics that score whole volumes."""
    return {name: metric for name, metric in metrics.items() if isinstance(metric, VolumeMetric)}


def unpaired_metrics(metrics: Mapping[str, AnyMetric]) -> dict[str, CohortMetric]:
    """The metrics that do not need a target of the same patient."""
    return {name: metric for name, metric in metrics.items() if isinstance(metric, CohortMetric) and not metric.paired}


def epoch_metrics(metrics: Mapping[str, AnyMetric], *, paired: bool) -> dict[str, AnyMetric]:
    """The metrics computed after epochs, on validation patients with or without targets."""
    return {**slice_metrics(metrics)} if paired else {**unpaired_metrics(metrics)}
