"""Conformance of metrics."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from gantk.testing.base import Conformance
from gantk.testing.batches import make_image
from gantk.testing.failures import expect
from gantk.testing.networks import check_equal, check_finite, pickled

__all__ = ["MetricConformance"]


class MetricConformance(Conformance):
    """Conformance of a metric; see `Conformance` for how to use it.

    Attributes:
        size: H and W of the images.
    """

    kind = "metric"
    size: ClassVar[tuple[int, int]] = (24, 32)

    def images(self, batch: int = 3, channels: int = 1, *, background: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Prediction, target, both in [0, 1], and the whole image as mask."""
        target = (make_image(batch, channels, self.size, background=background) + 1) / 2
        noise = torch.rand(target.shape, generator=torch.Generator().manual_seed(3)) - 0.5
        share = torch.linspace(0.1, 0.3, batch)[:, None, None, None]
        prediction = target if background else (target + share * noise).clamp(0, 1)
        return prediction, target, torch.ones(batch, 1, *self.size, dtype=torch.bool)

    def test_values(self) -> None:
        """One finite number per image, for one target and for two, and for a batch of one."""
        for batch, channels in ((3, 1), (3, 2), (1, 1)):
            check_values(self.make()(*self.images(batch, channels)), batch)

    def test_says_what_is_better(self) -> None:
        """`higher_is_better` is true of it: a perfect answer is the best, a worse one worse."""
        metric = self.make()
        mend = "set the attributes title (a string) and higher_is_better (True or False)"
        for name, kind in (("title", str), ("higher_is_better", bool)):
            expect(isinstance(getattr(metric, name, None), kind), f"it has no {name}", mend)
        prediction, target, mask = self.images()
        sign = 1 if metric.higher_is_better else -1
        perfect, good, poor = (
            sign * metric(p, target, mask)
            for p in (target, prediction, (target + 3 * (prediction - target)).clamp(0, 1))
        )
        expect(
            bool((perfect > good).all() and (good > poor).all()),
            f"a perfect, a good and a poor answer score {(sign * perfect).tolist()}, {(sign * good).tolist()} and "
            f"{(sign * poor).tolist()} while higher_is_better is {metric.higher_is_better}",
            "correct higher_is_better, or the metric",
        )

    def test_images_are_scored_one_by_one(self) -> None:
        """An image's value does not depend on its batch."""
        prediction, target, mask = self.images()
        together = self.make()(prediction, target, mask)
        alone = torch.cat([self.make()(prediction[i : i + 1], target[i : i + 1], mask[i : i + 1]) for i in range(3)])
        mend = "reduce over channels and pixels, not over the batch"
        check_equal(alone, together, "an image alone scores otherwise than in a batch", mend, 1e-5)

    def test_mask(self) -> None:
        """What is far outside of the mask does not count, what is inside does."""
        prediction, target, mask = self.images()
        mask[..., : self.size[1] // 4] = False
        mask[..., -(self.size[1] // 2) :] = False
        inside, outside = prediction.clone(), prediction.clone()
        outside[..., -2:] = 1 - outside[..., -2:]
        centre = int(mask[0, 0, 0].nonzero().float().mean())
        inside[..., centre] = 1 - inside[..., centre]
        metric = self.make()
        value = metric(prediction, target, mask)
        mend = "average over the pixels of the mask (B, 1, H, W) alone"
        check_equal(metric(outside, target, mask), value, "pixels outside of the mask count", mend, 1e-4)
        expect(bool((metric(inside, target, mask) != value).all()), "pixels inside of the mask do not count", mend)

    def test_background(self) -> None:
        """A perfect answer of nothing but background has a finite value."""
        check_values(self.make()(*self.images(background=True)), 3)

    def test_pickle(self) -> None:
        """A pickled copy scores the same."""
        images = self.images()
        mend = "keep no state outside plain attributes"
        check_equal(pickled(self.make())(*images), self.make()(*images), "a pickled copy scores otherwise", mend)


def check_values(values: Tensor, batch: int) -> None:
    """One finite float per image."""
    shown = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
    expect(shown == (batch,), f"it gives {shown} where ({batch},) is wanted", "return one number per image")
    expect(values.is_floating_point(), f"its values are {values.dtype}", "return floats")
    check_finite("its values", values)
