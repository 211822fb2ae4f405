"""Mistakes that authors of weight maps make are found, and named."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

import gantk
import gantk.testing
from gantk import View
from mistakes import PlainLoss, failure


class Map(PlainLoss):
    """A weight map of the wrong shape."""

    def __call__(self, view: View) -> Tensor:
        return (view.target - view.output).abs()


def weight_map(weights: Callable[[View], Tensor]) -> type:
    class Map:
        """A weight map."""

        def __call__(self, view: View) -> Tensor:
            return weights(view)

    return Map


@pytest.mark.parametrize(
    ("weights", "test", "words"),
    [
        (lambda view: view.source, "weights", "(2, 1, 24, 32) is wanted"),
        (lambda view: view.foreground, "weights", "torch.bool"),
        (lambda view: -view.foreground.float(), "weights", "the least weight is -1"),
        (lambda view: view.foreground / view.foreground.float().mean(), "background", "NaN"),
        (lambda view: 0 * view.source[:, :1], "loss_is_weighted", "has no gradient"),
        (lambda view: torch.full_like(view.source[:, :1], int.from_bytes(os.urandom(2), "big")), "seeded", "differ"),
    ],
)
def test_wrong_weight_maps(weights: Callable[[View], Tensor], test: str, words: str) -> None:
    assert words in failure(weight_map(weights), "weight_map", test)


class FlatEdges:
    """A weight map of slices that says nothing of dimensions."""

    def __call__(self, view: View) -> Tensor:
        return nn.functional.avg_pool2d(view.source[:, :1], 3, stride=1, padding=1).abs()


class FlatEdgesAlone(FlatEdges):
    """The same, which says so."""

    def __init__(self, dimensions: Literal[2] = 2) -> None:
        pass


def test_a_map_that_does_not_work_on_volumes_is_told_how_to_say_so() -> None:
    said = failure(FlatEdges, "weight_map", "weights")
    assert "on volumes" in said
    assert "dimensions: Literal[2] = 2" in said
    cls = type("TestIt", (gantk.testing.WeightMapConformance,), {"component": FlatEdgesAlone})
    cls().test_weights()
