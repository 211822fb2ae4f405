"""Which metrics score slices, volumes or all patients together, and which are computed after epochs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gantk.evaluation.metrics import Ssim
from gantk.evaluation.protocols import (
    VolumeMetric,
    epoch_metrics,
    slice_metrics,
    unpaired_metrics,
    volume_metrics,
)


def cohort_metric(*, paired: bool) -> Any:
    return SimpleNamespace(higher_is_better=False, title="FID", paired=paired, columns={}, collect=lambda: None)


METRICS: dict[str, Any] = {
    "ssim": Ssim(),
    "volume_ssim": VolumeMetric(Ssim(dimensions=3)),
    "probe": cohort_metric(paired=True),
    "kid": cohort_metric(paired=False),
}


def test_every_metric_has_its_kind() -> None:
    assert list(slice_metrics(METRICS)) == ["ssim"]
    assert list(volume_metrics(METRICS)) == ["volume_ssim"]
    assert list(unpaired_metrics(METRICS)) == ["kid"]


def test_after_epochs_there_are_slices_with_targets_or_without() -> None:
    assert list(epoch_metrics(METRICS, paired=True)) == ["ssim"]
    assert list(epoch_metrics(METRICS, paired=False)) == ["kid"]


def test_a_metric_of_volumes_is_named_and_better_as_that_of_images() -> None:
    metric = METRICS["volume_ssim"]
    assert (metric.title, metric.higher_is_better) == ("SSIM 3D", True)
