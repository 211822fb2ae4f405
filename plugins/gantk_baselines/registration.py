"""RegGAN: misaligned pairs are compared after a network has registered the output to the target."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Count, GantkError, Needs, NonNegative, Positive, Sizes, View
from gantk_baselines.generators.unet import Unet
from gantk_baselines.layers import Levels

__all__ = ["Registered"]


class Registration(nn.Module):
    """A deformation that maps one image (B, T, H, W) to another, (B, 2, H, W) in pixels, x before y; initially 0."""

    def __init__(self, channels: int, width: int, levels: int, reach: float) -> None:
        super().__init__()
        self.network = Unet(2 * channels, 2, levels, width, norm="instance", dropout=0.0, init="xavier", init_gain=1.0)
        self.reach = reach
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        return self.reach * torch.tanh(self.gain * self.network(torch.cat([moving, fixed], dim=1)))


def warped(image: Tensor, deformation: Tensor) -> Tensor:
    """An image (B, C, H, W) moved by a deformation (B, 2, H, W) in pixels: y(p) = x(p + φ(p)), linear."""
    height, width = image.shape[-2:]
    rows = torch.arange(height, device=image.device, dtype=image.dtype)[:, None].expand(height, width)
    columns = torch.arange(width, device=image.device, dtype=image.dtype)[None].expand(height, width)
    places = torch.stack([columns, rows]) + deformation
    scale = torch.stack([torch.full_like(rows, width), torch.full_like(rows, height)])
    grid = ((2 * places + 1) / scale - 1).permute(0, 2, 3, 1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


class Registered:
    """The loss of RegGAN: λ_c·E[m·|y − G(x)∘φ|] + λ_s·E‖∇φ‖², where φ = R(G(x), y) and R is trained with the generator.

    The deformation accounts for the misalignment of a pair, and the generator learns the rest. The loss records the
    mean length of φ in pixels, and shows the registered output next to the target. Source: Kong et al., "Breaking
    the dilemma of medical image-to-image translation", NeurIPS 2021, equations 3 and 4 (20 and 10).

    Args:
        correction: λ_c, weight of the error after registration.
        smoothness: λ_s, weight of the smoothness of the displacement φ.
        reach: the longest displacement along an axis, in pixels.
        channels: number of channels of the first level of R, a U-Net.
        levels: number of halvings of R.
        dimensions: number of dimensions of an image; only 2 (slices).
    """

    needs = Needs(target=True)

    def __init__(
        self,
        correction: NonNegative = 20.0,
        smoothness: NonNegative = 10.0,
        reach: Positive = 8.0,
        channels: Count = 32,
        levels: Levels = 3,
        dimensions: Literal[2] = 2,
    ) -> None:
        self.correction, self.smoothness, self.reach = correction, smoothness, reach
        self.channels, self.levels = channels, levels

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        if any(side % 2**self.levels for side in sizes.image):
            raise GantkError(
                f"the registration's U-Net halves images of {sizes.image} {self.levels} times",
                where="levels",
                mend="choose fewer levels, or a crop whose sides are multiples of 2 to that power",
            )
        return {"generator": Registration(sizes.gives, self.channels, self.levels, self.reach)}

    def __call__(self, view: View) -> Tensor:
        output, target = view.output, view.target
        deformation = view.head(output, target).float()
        moved = warped(output, deformation)
        view.log("displacement", deformation.detach().norm(dim=1).mean())
        view.log_image("registered", lambda: torch.cat([output, moved, target], dim=1))
        down, right = deformation.diff(dim=2), deformation.diff(dim=3)
        smooth = down.square().mean() + right.square().mean()
        return self.correction * view.weighted_mean((target - moved).abs()) + self.smoothness * smooth
