"""MONAI's BasicUNet as a generator."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import gantk

LEAST = 32
"""Pixels per side: after four halvings instance norm needs more than one."""


class MonaiBasicUNet(nn.Module):
    """MONAI's BasicUNet: (B, in_channels, H, W) to (B, out_channels, H, W) in (−1, 1), H and W at least 32;
    likewise for volumes.

    Layers are numbered by block: 0 … 4 downwards, at 1, 1/2, … 1/16 of the size (rounded down), 5 … 8 upwards, at
    1/8, … 1. Where a side is odd before a halving, MONAI repeats the last row or column on the way up.

    Source: Falk et al., "U-Net", Nature Methods 2019, as in monai.networks.nets.BasicUNet.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        channels: width at full size; the widths are channels · 1, 1, 2, 4, 8.
        norm: normalisation after every convolution.
        dropout: probability after every normalisation.
        upsample: transposed convolution or pixel shuffling.
        dimensions: of an image; gantk sets it from data.dimensions of the recipe.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Annotated[int, Field(ge=1)] = 32,
        norm: Literal["instance", "batch"] = "instance",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        upsample: Literal["deconv", "pixelshuffle"] = "deconv",
        dimensions: gantk.Dimensions = 2,
    ) -> None:
        super().__init__()
        from monai.networks.nets.basic_unet import BasicUNet  # slow, and all commands of gantk import this file

        self.network = BasicUNet(
            spatial_dims=dimensions,
            in_channels=in_channels,
            out_channels=out_channels,
            features=[channels * factor for factor in (1, 1, 2, 4, 8, 1)],
            norm=(norm, {"affine": True}),
            bias=False,  # the norm cancels a bias
            dropout=dropout,
            upsample=upsample,
        )

    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | gantk.Translation:
        net = self.network
        down: tuple[nn.Module, ...] = (net.conv_0, net.down_1, net.down_2, net.down_3, net.down_4)
        up: tuple[nn.Module, ...] = (net.upcat_4, net.upcat_3, net.upcat_2, net.upcat_1)
        check(image, layers, last=len(down) + len(up) - 1)

        x, skips, features = image, [], {}
        for number, block in enumerate(down):
            x = block(x)
            skips.append(x)
            if number in layers:
                features[number] = x
        if not decode and max(layers, default=0) < len(down):
            return gantk.Translation(None, features)
        skips.pop()  # x itself
        for number, block in enumerate(up, start=len(down)):
            x = block(x, skips.pop())
            if number in layers:
                features[number] = x
        if not decode:
            return gantk.Translation(None, features)
        output = torch.tanh(net.final_conv(x))
        return gantk.Translation(output, features) if layers else output


def check(image: Tensor, layers: tuple[int, ...], last: int) -> None:
    """Raise GantkError for an image that is too small and for a layer that does not exist."""
    size = image.shape[2:]
    if min(size) < LEAST:
        least, found = ("×".join(map(str, sides)) for sides in ([LEAST] * len(size), size))
        raise gantk.GantkError(
            f"monai_basic_unet takes images of at least {least}, not {found}",
            mend="enlarge data.crop or data.patch, or choose a generator with fewer levels",
        )
    if unknown := [layer for layer in layers if not 0 <= layer <= last]:
        raise gantk.GantkError(f"monai_basic_unet has no layer {unknown[0]}", mend=f"its layers are 0 to {last}")
