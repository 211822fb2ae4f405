"""The small U-Net of the segmentation probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SmallUNet", "segmentation_loss", "train"]

LEVELS = 4


class _Block(nn.Sequential):
    """Two 3×3 convolutions, each with group normalization and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        def layers(channels: int) -> list[nn.Module]:
            convolution = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
            return [convolution, nn.GroupNorm(min(8, outputs), outputs), nn.ReLU()]

        super().__init__(*layers(inputs), *layers(outputs))


class SmallUNet(nn.Module):
    """A U-Net of four resolutions (Ronneberger et al. 2015): (B, inputs, H, W) → logits (B, outputs, H, W).

    H and W can have any size: the image is padded with its background to multiples of 8.

    Args:
        inputs: channels of the images, in [-1, 1].
        outputs: number of regions; each is a separate binary output.
        channels: channels of the finest resolution, a multiple of 8; doubled at each coarser resolution.
    """

    def __init__(self, inputs: int, outputs: int, channels: int) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(_Block(a, b) for a, b in pairwise([inputs, *widths]))
        self.up = nn.ModuleList(_Block(a + b, a) for a, b in pairwise(widths))
        self.last = nn.Conv2d(channels, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, inputs, H, W) in [-1, 1] → (B, outputs, H, W)."""
        height, width = images.shape[-2:]
        multiple = 2 ** (LEVELS - 1)
        x = F.pad(images, (0, -width % multiple, 0, -height % multiple), value=-1.0)
        passed = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            passed.append(x)
        for level in reversed(range(LEVELS - 1)):
            x = self.up[level](torch.cat([passed[level], F.interpolate(x, scale_factor=2.0)], dim=1))
        logits: Tensor = self.last(x)
        return logits[..., :height, :width]


def segmentation_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy plus 1 - soft Dice of each region over the batch; both (B, R, H, W), truth in {0, 1}.

    In the cross-entropy, a region's pixels are weighted by the square root of the ratio of other pixels to region
    pixels. Without this weight, the network learns to ignore small regions such as the enhancing tumor in the first
    steps.
    """
    probability = logits.sigmoid()
    over = (0, 2, 3)
    overlap, both = (probability * truth).sum(over), probability.sum(over) + truth.sum(over)
    dice = (2 * overlap + 1) / (both + 1)
    share = truth.mean(over, keepdim=True).clamp(min=1e-4)
    rarity = ((1 - share) / share).sqrt()
    return F.binary_cross_entropy_with_logits(logits, truth, pos_weight=rarity) + (1 - dice).mean()


def train(
    batches: Iterator[tuple[Tensor, Tensor]],
    outputs: int,
    *,
    channels: int,
    steps: int,
    rate: float,
    seed: int,
    after_step: Callable[[], None],
) -> SmallUNet:
    """Train a network for the given number of steps, using Adam with a cosine learning rate.

    Args:
        batches: images (B, C, H, W) in [-1, 1] and regions (B, R, H, W) in {0, 1}, on the device to train on.
        outputs: R.
        channels: channels of the network.
        steps: number of updates.
        rate: initial learning rate.
        seed: seed of the initial weights.
        after_step: called after every update.
    """
    with torch.enable_grad():
        images, truth = next(batches)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = SmallUNet(images.shape[1], outputs, channels)
        network.to(images.device)
        optimizer = torch.optim.Adam(network.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for step in range(steps):
            if step:
                images, truth = next(batches)
            optimizer.zero_grad()
            segmentation_loss(network(images), truth).backward()
            optimizer.step()
            schedule.step()
            after_step()
    return network.eval()
