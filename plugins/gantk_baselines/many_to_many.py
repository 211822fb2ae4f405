"""Many-to-many translation without pairs, from any available modalities (DiamondGAN).

Source: Li et al., "DiamondGAN: unified multi-modal generative adversarial networks for MRI sequences synthesis",
MICCAI 2019, and its code. All terms compare images of one domain whose missing channels are background.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gantk import Count, Dimensions, GantkError, ImageRef, Needs, Positive, Role, View
from gantk_baselines.adversarial import Pool
from gantk_baselines.dimensional import beside, pixels
from gantk_baselines.generators.resnet import Resnet
from gantk_baselines.layers import Blocks, Dropout, Init, Norm, run_layers

__all__ = ["AvailabilityResnet", "AvailableLsgan", "MaskedCycle", "available"]

BACKGROUND = -1.0


def available(image: Tensor) -> Tensor:
    """The available channels of an image (B, C, *spatial), bool (B, C): those with any pixel above the background."""
    return (image > BACKGROUND).flatten(2).any(dim=2)


class AvailabilityResnet(Resnet):
    """ResNet generator conditioned on which inputs are available: (B, in, H, W) float to (B, out, H, W) in (−1, 1).

    The availability a ∈ {0, 1}^in is read from the image: a channel without any pixel above -1 is missing. If the first
    convolution received a as constant maps, it would add W·a to every pixel of its output, and instance norm would
    remove it again. Therefore W·a is added after the norm, before the ReLU. The generator also works on volumes.
    Sizes and layer numbers are those of `resnet`; layer 2 is the norm's output with the condition.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        channels: width of the first convolution.
        blocks: number of residual blocks.
        norm: "instance", "batch" or "none".
        antialias: blurred sampling instead of strided and transposed convolutions.
        dropout: probability inside each block.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization.
        condition: "availability", or "none" for a plain ResNet.
        dimensions: number of dimensions of an image, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Count = 64,
        blocks: Blocks = 9,
        norm: Norm = "instance",
        antialias: bool = False,
        dropout: Dropout = 0.0,
        init: Init = "normal",
        init_gain: Positive = 0.02,
        condition: Literal["availability", "none"] = "availability",
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            channels=channels,
            blocks=blocks,
            norm=norm,
            antialias=antialias,
            dropout=dropout,
            init=init,
            init_gain=init_gain,
            dimensions=dimensions,
        )
        # W begins with torch's own spread, 1/√in: beside features of unit variance 0.02 would be next to nothing
        self.condition = nn.Linear(in_channels, channels, bias=False) if condition == "availability" else None

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        if self.condition is None:
            return super().run(image, layers, last)
        output, features = run_layers(self.layers[:3], image, layers, last=last)
        if last is None or last >= 2:
            output = output + beside(self.condition(available(image).to(image.dtype)), output).to(output.dtype)
            features |= {2: output} if 2 in layers else {}
            output, later = run_layers(self.layers[3:], output, layers, first=3, last=last)
            features |= later
        return output, features


def like(view: View, image: Tensor, reference: str) -> Tensor:
    """An image (B, C, *spatial) in which the channels missing from the reference image are background, slice by slice.

    Raises:
        GantkError: the two differ in batch size or number of channels.
    """
    pattern = view.image(reference)
    if pattern.shape[:2] != image.shape[:2]:
        raise GantkError(
            f"images of shape {tuple(image.shape)} do not match the reference of shape {tuple(pattern.shape)}",
            where=f"a loss on translators.{view.role}",
            why=f"{reference} differs from the translated images in batch size or channels",
            mend="give both batch groups the same size, and name a reference with the translator's output modalities",
        )
    there = beside(view.derive("available", pattern, available), image)
    return view.derive(f"like {reference}", image, lambda x: torch.where(there, x, BACKGROUND))


class MaskedCycle:
    """Cycle consistency over the available channels of x: mean of m·|x − F(y)|.

    y is G(x) without the channels that an image of the other domain lacks, so that F's input, which is also judged, has
    the availability of that image. The term trains both translators.

    Args:
        back: F, the translator of the other direction.
        through: a real image of the other domain.
    """

    def __init__(self, back: Role, through: ImageRef) -> None:
        self.back = back
        self.through = through

    def __call__(self, view: View) -> Tensor:
        between = like(view, view.output, self.through)
        error = (view.source - view.translate(between, role=self.back)).abs()
        weight = view.weight_like(error)
        if weight is not None:
            error = weight * error
        there = view.available
        return torch.where(there, error.mean(dim=pixels(error)), 0).sum() / there.sum().clamp_min(1)


class AvailableLsgan:
    """Least-squares GAN on images of equal availability, G(x) without the channels that the real y lacks.

    L_D = ω·(E[(D(y) − r)²] + E[D(G(x))²]), L_G = E[(D(G(x)) − r)²]; the discriminator is unconditional.

    Args:
        real: y, an image of the target's domain.
        real_label: r, the target score of real images (DiamondGAN: 0.95).
        discriminator_weight: ω, factor on the discriminator's loss.
        pool: how many translated images of earlier steps are kept to train the discriminator on (DiamondGAN: 25).
    """

    def __init__(
        self,
        real: ImageRef,
        real_label: Positive = 1.0,
        discriminator_weight: Positive = 0.5,
        pool: Pool = 0,
    ) -> None:
        self.needs = Needs(pool=pool)
        self.real = real
        self.real_label = real_label
        self.discriminator_weight = discriminator_weight

    def __call__(self, view: View) -> Tensor:
        return self._to(view.judge(like(view, view.output, self.real)), self.real_label)

    def discriminator(self, view: View) -> Tensor:
        fake = like(view, view.fake, self.real)
        if self.needs.pool:
            fake = view.pooled(fake)
        real = view.judge(view.image(self.real))
        return self.discriminator_weight * (self._to(real, self.real_label) + self._to(view.judge(fake), 0.0))

    @staticmethod
    def _to(scores: Tensor, label: float) -> Tensor:
        return (scores - label).square().mean()
