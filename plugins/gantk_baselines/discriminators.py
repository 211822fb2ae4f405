"""The N-layer PatchGAN discriminator of pix2pix."""

from __future__ import annotations

from torch import Tensor, nn

from gantk_baselines.layers import (
    BlurDown,
    Init,
    Norm,
    check_image,
    convolution_bias,
    initialise,
    normalisation,
)

__all__ = ["PatchGan"]


class PatchGan(nn.Module):
    """PatchGAN: (B, in_channels, H, W) float to a map of scores (B, 1, ⌊H/2ⁿ⌋ − 2, ⌊W/2ⁿ⌋ − 2), no
    activation.

    With n = 3 layers a score sees 70×70 pixels; 256² gives 30×30, 224² 26×26. H and W are at least 3 · 2ⁿ.

    Source: Isola et al., "pix2pix", CVPR 2017; antialiased sampling as in CUT.

    Args:
        in_channels: channels of the judged image (with the source's, where the discriminator is conditional).
        channels: width of the first convolution; widths are channels · 1, 2, 4, 8, 8, …
        layers: n, the number of halvings.
        norm: "instance", "batch" or "none"; convolutions in front of batch norm have no bias.
        antialias: blurred halving in place of strided convolutions.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
        antialias: bool = False,
        init: Init = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.least = 3 * 2**layers
        widths = [channels * min(2**level, 8) for level in range(layers + 1)]
        stack: list[nn.Module] = []
        for level, width in enumerate(widths):
            halve = level < layers
            stride = 2 if halve and not antialias else 1
            source = widths[level - 1] if level else in_channels
            bias = convolution_bias(norm) or level == 0  # the first convolution has no norm
            stack.append(nn.Conv2d(source, width, 4, stride, padding=1, bias=bias))
            if level:
                stack.append(normalisation(norm, width))
            stack.append(nn.LeakyReLU(0.2))
            if halve and antialias:
                stack.append(BlurDown())
        self.layers = nn.Sequential(*stack, nn.Conv2d(widths[-1], 1, 4, padding=1))
        initialise(self, init, init_gain)

    def forward(self, image: Tensor) -> Tensor:
        """Judge every patch.

        Args:
            image: (B, in_channels, H, W) in [−1, 1].

        Returns:
            Scores (B, 1, h, w), unbounded.

        Raises:
            GantkError: other channels than built for, or an image too small for one patch.
        """
        check_image(image, self.in_channels, 1, "PatchGan", least=self.least)
        return self.layers(image)
