"""Conformance of weight maps."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from gantk.testing.bench import Bench
from gantk.testing.checks import check_equal, check_finite, pickled
from gantk.testing.failures import expect
from gantk.testing.spatial import SpatialConformance
from gantk.training.device import autocasting

__all__ = ["WeightMapConformance"]


class WeightMapConformance(SpatialConformance):
    """Conformance of a weight map, on a loss in a small recipe; see `Conformance` for how to use it.

    Attributes:
        inputs: modalities of the source.
        targets: modalities of the target.
        judges: the input of the discriminator, "image" or "source and image".
        bf16_tolerance: mean difference from fp32 that is allowed, relative to the mean weight.
    """

    kind = "weight_map"
    inputs: ClassVar[tuple[str, ...]] = ("a", "b")
    targets: ClassVar[tuple[str, ...]] = ("c",)
    judges: ClassVar[str] = "image"
    bf16_tolerance: ClassVar[float] = 0.1

    def bench(self, **options: Any) -> Bench:
        """The map in its recipe; see `gantk.testing.Bench` for the options."""
        settings = {"size": self.spatial, "inputs": self.inputs, "targets": self.targets, "judges": self.judges}
        return Bench(self.registered, self.given, **{**settings, **options})

    def test_weights(self) -> None:
        """Weights (B, 1, *spatial), float, finite, at least 0, without gradient."""
        check_weights(self.bench())

    def test_batch_of_one(self) -> None:
        """A batch of one has weights too."""
        check_weights(self.bench(batch=1))

    def test_two_targets(self) -> None:
        """There is one map, whatever the number of target images."""
        check_weights(self.bench(targets=(*self.targets, "another")))

    def test_background(self) -> None:
        """Images of nothing but background give no NaN."""
        check_weights(self.bench(background=True))

    def test_loss_is_weighted(self) -> None:
        """The weighted loss has a gradient for the generator; the map has none for the discriminator."""
        bench = self.bench()
        bench.value().backward()
        learns = any(p.grad is not None and bool(p.grad.any()) for p in bench.own.parameters())
        expect(learns, "under this map a loss has no gradient: it is 0 everywhere", "give some place a weight above 0")
        for name, parameter in bench.discriminator.named_parameters():
            mend = "compute weights from the view alone"
            expect(parameter.grad is None, f"the map sends a gradient into the discriminator ({name})", mend)

    def test_bf16(self) -> None:
        """With networks in bf16 the weights are nearly those of fp32."""
        full = self.bench().weight()
        half = check_weights(self.bench(autocast=autocasting(torch.device("cpu"), "bf16")))
        difference, mean = float((full - half).abs().mean()), float(full.mean())
        expect(
            difference <= self.bf16_tolerance * mean,
            f"with networks in bf16 weights differ by {difference:.3g}, of {mean:.3g} in the mean",
            "compute them in fp32, which is what the view gives, or raise `bf16_tolerance`",
        )

    def test_seeded(self) -> None:
        """The same seed gives the same weights, in a new instance and in a pickled copy."""
        bench = self.bench()
        first = bench.weight()
        check_equal(self.bench().weight(), first, "two instances differ", "draw from torch's global generator alone")
        copied = pickled(bench.plan.maps["map"].component)
        torch.manual_seed(0)
        with torch.no_grad():
            again = copied(bench.view()).float()
        check_equal(again, first, "a pickled copy gives other weights", "keep no state outside plain attributes")


def check_weights(bench: Bench) -> Tensor:
    """Shape, type, sign and gradient of a bench's map; the weights."""
    source = bench.view().source
    torch.manual_seed(0)
    with torch.no_grad():
        raw = bench.plan.maps["map"].component(bench.view())
    wanted = (len(source), 1, *source.shape[2:])
    shown = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
    expect(
        shown == wanted, f"the weights are {shown} where {wanted} is wanted", "return one weight per pixel and image"
    )
    mend = "return float weights: torch.where(mask, inside, outside), or mask.float()"
    expect(raw.is_floating_point(), f"the weights are {raw.dtype}", mend)
    check_finite("the weights", raw)
    expect(float(raw.min()) >= 0, f"the least weight is {float(raw.min()):.3g}", "clamp weights at 0")
    weight = bench.weight()
    expect(
        not weight.requires_grad, "the weights have a gradient", "they are computed under torch.no_grad: leave it on"
    )
    return weight
