"""Conformance of generators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gantk.testing.checks import answer, check_equal, check_finite, seeded, stirred
from gantk.testing.failures import expect
from gantk.testing.networks import NetworkConformance
from gantk.translation import Translation
from gantk.translation.residual import Residual
from gantk.translation.translator import multiples

__all__ = ["GeneratorConformance"]


class GeneratorConformance(NetworkConformance):
    """Conformance of a generator; see `Conformance` for how to use it.

    Attributes:
        in_channels: channels of the source.
        out_channels: channels of the output.
        size: H and W of slices; rounded up to the generator's `size_multiple`.
        volume: D, H and W of volumes, rounded up in the same way.
        bf16_tolerance: mean difference from fp32 that is allowed, relative to the output's spread.
        features: layers that are checked; None: all layers that it offers; empty: none.
    """

    kind = "generator"
    out_channels: ClassVar[int] = 1
    _fitted: tuple[int, ...] | None = None

    def arguments(self, size: tuple[int, ...]) -> Mapping[str, Any]:
        return {"in_channels": self.in_channels, "out_channels": self.out_channels, "image_size": size}

    @property
    def fitted(self) -> tuple[int, ...]:
        """The size of the images: multiples of the generator's `size_multiple`, all sides different."""
        if self._fitted is None:
            with torch.random.fork_rng(devices=[]):
                wanted = multiples(self.make_given(self.spatial), self.dimensions)
            sides: list[int] = []
            for least, multiple in zip(self.spatial, wanted, strict=True):
                side = -(-least // multiple) * multiple
                while side in sides:
                    side += multiple
                sides.append(side)
            self._fitted = tuple(sides)
        return self._fitted

    def check_output(self, output: Any, batch: int) -> None:
        wanted = (batch, self.out_channels, *self.fitted)
        shown = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        expect(
            isinstance(output, Tensor) and shown == wanted,
            f"the output is {shown} where {wanted} is wanted",
            "return a tensor (B, out_channels, *spatial) of the image's own size when no layers are asked for",
        )
        expect(output.dtype == torch.float32, f"the output is {output.dtype}", "compute in the image's own type")
        check_finite("the output", output)
        low, high = output.min().item(), output.max().item()
        expect(
            low >= -1 and high <= 1,
            f"the output lies in [{low:.3g}, {high:.3g}], outside of [-1, 1]",
            "end with tanh: images are in [-1, 1]",
        )

    def test_residual(self) -> None:
        """It can change an input (`residual` in a translator): training starts at the identity, and range holds."""
        image = self.image()
        network = seeded(self.build)
        residual = Residual(network, [0] * self.out_channels, self.in_channels, self.fitted, self.kind)
        start = image[:, :1].expand(-1, self.out_channels, *[-1] * self.dimensions)
        mend = "let the output be 0 where the parameters of its last layers are 0"
        check_equal(answer(residual, image), start, "with `residual` it does not start at its input", mend)
        stirred(residual)
        self.check_output(answer(residual, image), 2)
        if self.offers:
            with torch.no_grad():
                given, own = residual.eval()(image, self.offers), network.eval()(image, self.offers)
            self.check_maps(given.features)
            for number, feature in own.features.items():
                check_equal(given.features[number], feature, f"with `residual` layer {number} is another", mend)

    def check_features(self, given: Any, plain: Tensor, network: nn.Module, image: Tensor) -> None:
        mend = "return gantk.Translation(output, features) when layers are asked for"
        expect(isinstance(given, Translation), f"with layers it returned a {type(given).__name__}", mend)
        check_equal(given.output, plain, "with layers the output is another", mend, 1e-5)
        self.check_maps(given.features)
        half = network(image, self.offers, False)
        expect(isinstance(half, Translation) and half.output is None, "with decode=False there is an output", mend)
        for number, feature in half.features.items():
            same = "compute the same features whether or not the output is wanted"
            check_equal(feature, given.features[number], f"with decode=False layer {number} is another", same, 1e-5)
