"""Components of images are tested in each number of dimensions in which they work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gantk
from gantk.testing import LossConformance
from gantk.testing.failures import ConformanceError


class Flat:
    """Works on slices alone, and says so."""

    def __init__(self, dimensions: gantk.Dimensions = 2) -> None:
        self.dimensions = dimensions

    def __call__(self, view: Any) -> Tensor:
        return (view.output - view.target).abs().mean()


class Fails(Flat):
    """Fails on volumes, and does not say so."""

    def __call__(self, view: Any) -> Tensor:
        if view.output.ndim == 5:
            raise RuntimeError("four dimensions are wanted")
        return torch.zeros(()) + super().__call__(view)


def case(component: type, record: list[int]) -> Any:
    class Case(LossConformance):
        def test_seen(self) -> None:
            record.append(self.dimensions)
            assert len(self.spatial) == self.dimensions
            self.make()
            if self.dimensions == 3 and component is Fails:
                raise RuntimeError("four dimensions are wanted")

    Case.component = component
    return Case()


def test_both_are_tried() -> None:
    seen: list[int] = []
    case(Flat, seen).test_seen()
    assert seen == [2, 3]


def test_what_fails_on_volumes_alone_is_told_so() -> None:
    seen: list[int] = []
    with pytest.raises(ConformanceError, match=r"on volumes: RuntimeError: four dimensions"):
        case(Fails, seen).test_seen()
    assert seen == [2, 3]
