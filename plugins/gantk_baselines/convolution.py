"""Convolutions of slices, computed with the fastest method on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk_baselines.winograd import pays, winograd

__all__ = ["Conv2d", "ConvTranspose2d"]

PIXELS = 64  # of more, torch's convolutions are as fast as one matrix product
WEIGHTS = 2**18  # of fewer, it does not matter


class Conv2d(nn.Conv2d):
    """`nn.Conv2d`, (B, C, H, W) to (B, O, H', W'), with the same values up to rounding.

    In fp32, wide convolutions with kernels of 3×3 and 4×4 use Winograd's algorithm. Convolutions to few pixels, as at
    the bottom of a U-Net, are computed as a matrix product, because torch spends most of its time rearranging the
    weights; the pixels are the rows, because products with few columns are slow.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not _own(self, input):
            return super().forward(input)
        (kernel, *_), (stride, *_), padding = self.kernel_size, self.stride, int(self.padding[0])
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in input.shape[2:])
        if min(height, width) < 1:  # torch says what is wrong
            return super().forward(input)
        if _few(self, len(input) * height * width):
            pixels = F.unfold(input, kernel, padding=padding, stride=stride).transpose(1, 2)
            found = pixels @ self.weight.flatten(1).t()
            found = found.transpose(1, 2).contiguous().unflatten(2, (height, width))  # dropout draws as after torch's
        elif (
            stride == 1
            and padding < kernel
            and _single_precision(self, input)
            and pays(self.in_channels, self.out_channels, kernel, len(input), height, width)
        ):
            found = winograd(input, self.weight, padding)
        else:
            return super().forward(input)
        return _biased(self, found)


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d`, (B, C, H, W) to (B, O, H', W'), with the same values; a matrix product for few pixels."""

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        if output_size is not None or not _own(self, input) or not _few(self, len(input) * input[0, 0].numel()):
            return super().forward(input, output_size)  # type: ignore[arg-type]
        (kernel, *_), (stride, *_), padding = self.kernel_size, self.stride, int(self.padding[0])
        extra = int(self.output_padding[0])
        size = [(side - 1) * stride - 2 * padding + kernel + extra for side in input.shape[2:]]
        pixels = input.flatten(2).transpose(1, 2) @ self.weight.flatten(1)
        return _biased(self, F.fold(pixels.transpose(1, 2), size, kernel, padding=padding, stride=stride))


def _own(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> bool:
    """Whether the layer is plain and square, and torch is not tracing it for export."""
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and all(len(set(of)) == 1 for of in (layer.kernel_size, layer.stride, layer.padding, layer.output_padding))
    )


def _few(layer: nn.Conv2d | nn.ConvTranspose2d, pixels: int) -> bool:
    return pixels <= PIXELS and layer.weight.numel() >= WEIGHTS


def _single_precision(layer: nn.Conv2d, x: Tensor) -> bool:
    return x.dtype == layer.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def _biased(layer: nn.Conv2d | nn.ConvTranspose2d, found: Tensor) -> Tensor:
    return found if layer.bias is None else found + layer.bias[:, None, None].to(found.dtype)
