"""Layers as the published codes write them, to be timed against ours."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk_baselines.convolution import Conv2d, ConvTranspose2d
from gantk_baselines.layers import BlurDown, BlurUp, InstanceNorm, OneMapConv2d

__all__ = ["PublishedDown", "PublishedUp", "published"]


@lru_cache(maxsize=64)
def _kernel(taps: tuple[float, ...], scale: float, channels: int, device: torch.device) -> Tensor:
    """A depthwise kernel (channels, 1, k, k), made once, as the published layers hold it in a buffer."""
    row = torch.tensor(taps, device=device)
    return (row[:, None] * row * scale).repeat(channels, 1, 1, 1)


class PublishedDown(nn.Module):
    """CUT's Downsample: reflected border, depthwise convolution."""

    def forward(self, x: Tensor) -> Tensor:
        kernel = _kernel((1.0, 2.0, 1.0), 1 / 16, x.shape[1], x.device)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel.to(x.dtype), stride=2, groups=x.shape[1])


class PublishedUp(nn.Module):
    """CUT's Upsample: replicated border, depthwise transposed convolution, cropped."""

    def forward(self, x: Tensor) -> Tensor:
        kernel = _kernel((1.0, 3.0, 3.0, 1.0), 1 / 16, x.shape[1], x.device)
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        blurred = F.conv_transpose2d(padded, kernel.to(x.dtype), stride=2, padding=2, groups=x.shape[1])
        return blurred[:, :, 1:, 1:][:, :, :-1, :-1]


def published(network: nn.Module) -> nn.Module:
    """The same network, its weights kept, with its own pieces replaced by the published ones, in place.

    Instance norms are `nn.InstanceNorm2d`, blurs depthwise convolutions, all convolutions are plain, and
    activations overwrite their input.
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm):
                setattr(module, name, nn.InstanceNorm2d(child.channels))
            elif isinstance(child, BlurDown):
                setattr(module, name, PublishedDown())
            elif isinstance(child, BlurUp):
                setattr(module, name, PublishedUp())
            elif isinstance(child, OneMapConv2d):
                plain = nn.Conv2d(child.in_channels, 1, child.kernel_size).to(child.weight.device)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
            elif isinstance(child, Conv2d):
                child.__class__ = nn.Conv2d
            elif isinstance(child, ConvTranspose2d):
                child.__class__ = nn.ConvTranspose2d
            elif isinstance(child, nn.ReLU | nn.LeakyReLU):
                child.inplace = True
    return network
