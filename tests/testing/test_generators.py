"""Mistakes that authors of generators make are found, and named."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gantk
import gantk.testing
from mistakes import Generator, changed, failure


class Unused(Generator):
    """A generator with an unused layer."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.spare = nn.Conv2d(1, 1, 1)


class Hidden(Generator):
    """A generator with a weight outside of its state."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.scale = torch.rand(())

    def forward(self, image: Tensor, *arguments: Any) -> Any:
        return super().forward(image, *arguments) * self.scale


class OwnSeed(Generator):
    """A generator with initial weights that ignore torch's seed."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        nn.init.constant_(self.last.bias, int.from_bytes(os.urandom(2), "big") / 2**16)


class Closed(Generator):
    """A generator with an attribute that does not pickle."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.activation = lambda x: x


class OfTheBatch(Generator):
    """A generator whose output depends on the other images of the batch."""

    def forward(self, image: Tensor, *arguments: Any) -> Any:
        return super().forward(image - image[-1:], *arguments)


class Normalised(Generator):
    """A generator that divides by a deviation that may be 0."""

    def forward(self, image: Tensor, *arguments: Any) -> Any:
        return super().forward((image - image.mean()) / image.std(), *arguments)


GENERATORS: list[tuple[str, str, type, str]] = [
    ("shape", "output", changed(Generator, lambda x, _: x[:, :, 1:]), "the output is"),
    ("range", "output", changed(Generator, lambda x, _: 2 + x), r"outside of [-1, 1]"),
    ("type", "output", changed(Generator, lambda x, _: x.double()), "torch.float64"),
    ("NaN", "output", changed(Generator, lambda x, _: x / 0), "NaN or infinite"),
    ("unused", "gradient_flow", Unused, "'spare.weight' of the network gets no gradient"),
    ("detached", "gradient_reaches_the_image", changed(Generator, lambda x, i: x.detach() + 0 * i), "no gradient"),
    ("hidden", "state_round_trip", Hidden, "answers otherwise"),
    ("seed", "initial_weights_follow_the_seed", OwnSeed, "'last.bias' differs"),
    ("pickle", "pickle", Closed, "cannot be pickled"),
    ("batch", "evaluation_is_deterministic", OfTheBatch, "an image alone is answered otherwise"),
    ("batch2", "two_processes", OfTheBatch, "differs between one process and two"),
    ("parts", "background", Normalised, "background"),
    (
        "noise",
        "evaluation_is_deterministic",
        changed(Generator, lambda x, _: x * torch.rand(())),
        "two passes in evaluation mode differ",
    ),
]


@pytest.mark.parametrize(
    ("test", "component", "words"), [g[1:] for g in GENERATORS], ids=[name for name, *_ in GENERATORS]
)
def test_wrong_generators(test: str, component: type, words: str) -> None:
    assert words in failure(component, "generator", test, features=())


class WrongFeatures(Generator):
    """A generator with other features than the requested ones."""

    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Any:
        given = super().forward(image, layers, decode)
        return gantk.Translation(given.output, {0: image}) if layers else given


def test_wrong_features() -> None:
    assert "features of [0] came for [0, 1]" in failure(WrongFeatures, "generator", "features", features=(0, 1))
