"""Mistakes that authors of augmentations make are found, and named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gantk
from gantk.testing import AugmentationConformance
from gantk.testing.failures import ConformanceError


class Noise(nn.Module):
    """Adds noise."""

    def __init__(self, dimensions: gantk.Dimensions = 2) -> None:
        super().__init__()

    def forward(self, image: Tensor) -> Tensor:
        return image + 0.1 * torch.randn_like(image)


class Rounds(Noise):
    """Its steps have no gradient."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image).detach().round() + 0 * image


class Elsewhere(Noise):
    """Draws random numbers from NumPy."""

    def forward(self, image: Tensor) -> Tensor:
        return image + float(np.random.default_rng().normal())


class Nothing(Noise):
    """It changes nothing."""

    def forward(self, image: Tensor) -> Tensor:
        return image


class Halves(Noise):
    """It gives half of an image."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image)[..., ::2]


def check(augmentation: type, test: str) -> None:
    getattr(type("Case", (AugmentationConformance,), {"component": augmentation})(), test)()


@pytest.mark.parametrize("test", ["test_images", "test_seeded_and_resumed"])
def test_a_right_one_passes(test: str) -> None:
    check(Noise, test)


@pytest.mark.parametrize(
    ("augmentation", "test", "said"),
    [
        (Rounds, "test_images", "the image gets no gradient"),
        (Elsewhere, "test_seeded_and_resumed", "from one seed it shows two things"),
        (Nothing, "test_images", "five draws change nothing"),
        (Halves, "test_images", "it gave"),
    ],
)
def test_wrong_augmentations(augmentation: type, test: str, said: str) -> None:
    with pytest.raises(ConformanceError, match=said):
        check(augmentation, test)
