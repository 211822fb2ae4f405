"""The focal frequency loss."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import gantk


class FocalFrequency:
    """Mean of w·|F(y − G(x))|² over frequencies, w = |F(y − G(x))|^α scaled to [0, 1] (Jiang et al., ICCV 2021).

    F is the orthonormal Fourier transform of an image's patch, so that |F(y) − F(G(x))| = |F(y − G(x))|. The weights w
    are largest at the frequencies with the largest error, at most 1 in every patch, and constant for the gradient. With
    a weight map m, F(m·(y − G(x))) is used. Volumes are transformed slice by slice.

    Args:
        alpha: α; 0 is the unweighted distance of spectra, larger values focus more.
        patches: side of the grid of patches that are transformed separately; H and W are multiples of it.
        log: compute w from log(1 + |F|^α), which makes it flatter.
    """

    needs = gantk.Needs(target=True)

    def __init__(
        self, alpha: Annotated[float, Field(ge=0)] = 1.0, patches: Annotated[int, Field(ge=1)] = 1, log: bool = False
    ) -> None:
        self.alpha, self.patches, self.log = alpha, patches, log

    def __call__(self, view: gantk.View) -> Tensor:
        error = view.target - view.output
        if view.weight is not None:
            error = view.weight * error
        spectrum = torch.view_as_real(torch.fft.fft2(self.cut(error), norm="ortho"))
        power = spectrum.square().sum(-1)
        return (self.focus(power) * power).mean()

    def cut(self, image: Tensor) -> Tensor:
        """(…, H, W) as patches (…, patches, patches, h, w)."""
        height, width = image.shape[-2:]
        if height % self.patches or width % self.patches:
            raise gantk.GantkError(
                f"focal_frequency cannot cut {height}×{width} into {self.patches}×{self.patches} patches",
                mend="choose `patches` that divides both sides of data.crop",
            )
        grid = image.reshape(*image.shape[:-2], self.patches, height // self.patches, self.patches, -1)
        return grid.transpose(-3, -2)

    @torch.no_grad()
    def focus(self, power: Tensor) -> Tensor:
        """The weights of frequencies, in [0, 1]; 0 for a patch without error."""
        weight = power.sqrt() ** self.alpha
        weight = torch.log1p(weight) if self.log else weight
        return weight / weight.amax((-2, -1), keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
