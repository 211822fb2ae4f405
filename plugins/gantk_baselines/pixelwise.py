"""Losses between the output and the target, pixel by pixel."""

from __future__ import annotations

from typing import Annotated

from kornia.metrics import ssim, ssim3d
from pydantic import AfterValidator, Field
from torch import Tensor

from gantk import GantkError, Needs, View

__all__ = ["L1", "L2", "Change", "Ssim"]


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("Input should be odd")
    return value


Window = Annotated[int, Field(ge=3, description="odd"), AfterValidator(_odd)]


class L1:
    """Mean absolute error, mean of m·|y − G(x)| with the term's weight map m (DS³-Net, eq. 2)."""

    needs = Needs(target=True)

    def __call__(self, view: View) -> Tensor:
        return _told(view, (view.target - view.output).abs())


class L2:
    """Mean squared error, mean of m·(y − G(x))² with the term's weight map m."""

    needs = Needs(target=True)

    def __call__(self, view: View) -> Tensor:
        return _told(view, (view.target - view.output).square())


def _told(view: View, error: Tensor) -> Tensor:
    """The weighted mean of an error, which is also reported to the sampler."""
    view.rate(error)
    return view.weighted_mean(error)


class Change:
    """Mean squared change, mean of m·(G(x) − s)² of the image s that the translator changes (its `residual`).

    With `l2` at weight w and this loss at weight λ·w, the optimal output for a pixel is s + E[y − s]/(1 + λ): ridge
    regression of the change. A network that is trained on few patients changes too much, so a smaller change is better.
    """

    needs = Needs(start=True)

    def __call__(self, view: View) -> Tensor:
        return view.weighted_mean((view.output - view.start.detach()).square())


class Ssim:
    """Structural dissimilarity, mean of m·(1 − SSIM(y, G(x)))/2 on images scaled to [0, 1] (Wang et al., 2004).

    Args:
        window: side of the Gaussian window in pixels, odd.

    Raises:
        GantkError: a side of the image is not longer than half the window.
    """

    needs = Needs(target=True)

    def __init__(self, window: Window = 11) -> None:
        self.window = window

    def __call__(self, view: View) -> Tensor:
        output, target = (view.output + 1) / 2, (view.target + 1) / 2
        if min(output.shape[2:]) <= self.window // 2:
            raise GantkError(
                f"a window of {self.window} pixels does not fit images of {' × '.join(map(str, output.shape[2:]))}",
                where="window",
                mend=f"set window to at most {2 * min(output.shape[2:]) - 1}, or use larger images",
            )
        if output.ndim == 5:
            similarity = ssim3d(output, target, self.window, max_val=1.0)
        else:
            similarity = ssim(output, target, self.window, max_val=1.0)
        return view.weighted_mean((1 - similarity) / 2)
