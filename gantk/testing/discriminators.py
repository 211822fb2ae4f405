"""Conformance of discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gantk.testing.checks import check_equal, check_finite, check_second_order
from gantk.testing.failures import expect, skip
from gantk.testing.networks import NetworkConformance, check_scores
from gantk.translation import Judgement

__all__ = ["DiscriminatorConformance"]


class DiscriminatorConformance(NetworkConformance):
    """Conformance of a discriminator; see `Conformance` for how to use it.

    Attributes:
        in_channels: input channels, including the source's if it is conditional.
        target_channels: channels of the judged image alone.
        size: H and W of slices.
        volume: D, H and W of volumes.
        bf16_tolerance: mean difference from fp32 that is allowed, relative to the scores' spread.
        features: layers that are checked; None: all layers that it offers; empty: none.
        second_order: whether it supports gradient penalties.
    """

    kind = "discriminator"
    target_channels: ClassVar[int] = 2
    second_order: ClassVar[bool] = True

    def arguments(self, size: tuple[int, ...]) -> Mapping[str, Any]:
        return {"in_channels": self.in_channels, "target_channels": self.target_channels}

    def check_output(self, output: Any, batch: int) -> None:
        check_scores(output, self.image(batch))
        expect(output.dtype == torch.float32, f"the scores are {output.dtype}", "compute in the image's own type")
        check_finite("the scores", output)

    def check_features(self, given: Any, plain: Tensor, network: nn.Module, image: Tensor) -> None:
        mend = "return gantk.Judgement(scores, features) when layers are asked for"
        expect(isinstance(given, Judgement), f"with layers it returned a {type(given).__name__}", mend)
        check_equal(given.scores, plain, "with layers the scores are others", mend, 1e-5)
        self.check_maps(given.features)

    def test_second_order(self) -> None:
        """A gradient penalty on it has the gradient that finite differences give."""
        if not self.second_order:
            raise skip("it does not claim second-order gradients")
        check_second_order(self.network(), self.image())
