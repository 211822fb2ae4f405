"""Mistakes that authors of metrics make are found, and named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from unittest import SkipTest

import pytest
import torch
from torch import Tensor, nn

import gantk
import gantk.testing
from gantk import Group
from gantk.evaluation.protocols import Findings
from gantk.evaluation.results import Column
from mistakes import failure


def metric(score: Callable[[Tensor, Tensor, Tensor], Tensor], better: bool = False) -> type:
    class Metric:
        """A metric."""

        title = "M"
        higher_is_better = better

        def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
            return score(prediction, target, mask)

    return Metric


def _error(p: Tensor, t: Tensor, m: Tensor) -> Tensor:
    return ((p - t).abs() * m).mean((1, 2, 3)) / m.float().mean((1, 2, 3))


@pytest.mark.parametrize(
    ("component", "test", "words"),
    [
        (metric(_error, better=True), "says_what_is_better", "higher_is_better is True"),
        (metric(lambda p, t, m: (p - t).abs().mean()), "values", "(3,) is wanted"),
        (metric(lambda p, t, m: (p - t).abs().mean((1, 2, 3))), "mask", "pixels outside of the mask count"),
        (metric(lambda p, t, m: 0 * p.mean((1, 2, 3))), "mask", "pixels inside of the mask do not count"),
        (metric(lambda p, t, m: _error(p, t, m) / p.mean()), "images_are_scored_one_by_one", "scores otherwise"),
        (metric(lambda p, t, m: _error(p, t, m) / t.std()), "background", "NaN"),
    ],
)
def test_wrong_metrics(component: type, test: str, words: str) -> None:
    assert words in failure(component, "metric", test)


class FlatError:
    """A metric of slices: pooling in two dimensions."""

    title = "pooled error"
    higher_is_better = False

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        error = nn.functional.avg_pool2d(torch.where(mask, prediction - target, 0.0), 2).abs()
        return error.flatten(1).sum(dim=1) / mask.flatten(1).sum(dim=1)


class FlatErrorOfBoth(FlatError):
    """The same, which says that it measures volumes."""

    def __init__(self, dimensions: gantk.Dimensions = 2) -> None:
        pass


class FlatMeans:
    """A metric over all patients that takes slices alone, as evaluations give them."""

    title, higher_is_better, paired = "mean", False, True
    columns: Mapping[str, Any] = {"mean": Column("mean", "image", False)}

    def __init__(self, dimensions: gantk.Dimensions = 2) -> None:
        pass

    def collect(self) -> Any:
        found: dict[tuple[str, str], dict[str, float]] = {}

        def add(group: Group, images: Mapping[str, Tensor]) -> None:
            for method, image in images.items():
                assert image.ndim == 4
                found[group.patients[0], method] = {"mean": float(image.mean())}

        return SimpleNamespace(add=add, conclude=lambda progress: Findings(found))


def test_a_metric_is_asked_what_evaluations_ask_it() -> None:
    for component in (FlatError, FlatMeans):
        cls = type("TestIt", (gantk.testing.MetricConformance,), {"component": component})
        ran = 0
        for name in ("values", "says_what_is_better", "mask", "evaluation", "pickle"):
            try:
                getattr(cls(), f"test_{name}")()
                ran += 1
            except SkipTest:
                pass
        assert ran >= 3
    said = failure(FlatErrorOfBoth, "metric", "values")
    assert "on volumes" in said
    assert "Literal[2]" not in said  # it has said what it does
