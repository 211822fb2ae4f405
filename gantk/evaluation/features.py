"""Feature networks of metrics: the Inception network of FID, or random networks that need no download."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from gantk.errors import GantkError

__all__ = ["RANDOM_FEATURES", "Weights", "draw", "feature_network", "to_colour"]

Weights = Literal["pretrained", "random"] | Path
"""The source of a network's weights: its publisher, a fixed seed, or a file."""

RANDOM_FEATURES = 64


def to_colour(images: Tensor) -> tuple[Tensor, int]:
    """(B, T, H, W) → color images (B·n, 3, H, W) and n: three channels are one image, otherwise each is one in gray."""
    if images.shape[1] == 3:
        return images, 1
    return images.flatten(0, 1)[:, None].expand(-1, 3, -1, -1), images.shape[1]


def draw(network: nn.Module, seed: int = 0) -> None:
    """Initialize with N(0, 2 / fan-in) from a fixed seed (He et al. 2015)."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class _Random(nn.Module):
    """Four strided convolutions with fixed random weights and the mean over the image: (B, 3, H, W) → (B, 64)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 48, RANDOM_FEATURES)
        layers = [nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU()) for a, b in pairwise(widths)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        draw(self.body)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] → (B, 64)."""
        found: Tensor = self.body(2 * images - 1)
        return found


class _Inception(nn.Module):
    """torchmetrics' Inception v3 for images in [0, 1]: (B, 3, H, W) → (B, features)."""

    def __init__(self, features: int, weights: Path | None) -> None:
        super().__init__()
        from torchmetrics.image.fid import NoTrainInceptionV3

        path = None if weights is None else str(weights)
        self.body = NoTrainInceptionV3("inception-v3-compat", [str(features)], path)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] → (B, features); rounded to 8 bits as in torchmetrics."""
        found: Tensor = self.body((images * 255).byte())
        return found


@lru_cache(maxsize=4)
def feature_network(weights: Weights, features: int, where: str) -> nn.Module:
    """A network from color images (B, 3, H, W) in [0, 1] to features (B, F).

    Args:
        weights: "pretrained", the file of Inception's weights, or "random" for a small random network.
        features: number of features of Inception's layer.
        where: the caller's name, for errors.

    Raises:
        GantkError: Inception could not be loaded.
    """
    if weights == "random":
        return _Random()
    path = weights if isinstance(weights, Path) else None
    if path is not None and not path.is_file():
        raise GantkError("there is no such file", where=f"{where}: {path}", mend="correct `weights` in the recipe")
    offline = 'weights = "random" needs no download, but its numbers cannot be compared with published ones'
    try:
        return _Inception(features, path)
    except ImportError as error:
        raise GantkError(
            "FID and KID need the package torch-fidelity, which provides Inception v3",
            where=where,
            why=error,
            mend=f"run `pip install torch-fidelity`; {offline}",
        ) from None
    except Exception as error:  # a download or a file can fail in many ways
        raise GantkError(
            "the weights of Inception v3 could not be loaded",
            where=where if path is None else f"{where}: {path}",
            why=f"{type(error).__name__}: {error}".splitlines()[0],
            mend="download weights-inception-2015-12-05-6726825d.pth from torch-fidelity's release page on GitHub and "
            f'set weights = "path/to/it.pth"; {offline}',
        ) from None
