"""FID and KID: distances between the synthesized and the real images of the whole test set; pairs are not needed."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gantk.evaluation.features import RANDOM_FEATURES, Weights, feature_network, to_colour
from gantk.evaluation.protocols import Findings
from gantk.evaluation.regions import region_mask
from gantk.evaluation.results import Column, Statistic
from gantk.ranges import Count, Distinct, Whole
from gantk.recipe.values import Region

if TYPE_CHECKING:
    from gantk.data.batch import Group
    from gantk.progress import Progress

__all__ = ["SET", "Fid", "Kid", "cut_out"]

SET = "test set"
"""The region name of columns with one number for all patients together."""

Features = Literal[64, 192, 768, 2048]


class _Distance(ABC):
    """The base class of FID and KID: collects features of all slices, real and synthesized by each method."""

    higher_is_better = False
    paired = False
    name: str

    def __init__(self, weights: Weights, features: Features, regions: Sequence[Region]) -> None:
        self.weights = weights
        self.features = features
        self.regions = tuple(regions)
        self.title = f"{self.name.upper()} (random network)" if weights == "random" else self.name.upper()
        feature_network(weights, features, f"metric {self.name}")  # report missing weights before training

    @property
    def columns(self) -> dict[str, Column]:
        """`fid` or `kid` for the whole image, and `fid_tumour` for a region."""
        where = {region: SET if region == "image" else f"{SET}, {region}" for region in self.regions}
        return {self.column(region): Column(self.title, where[region], self.higher_is_better) for region in where}

    def column(self, region: str) -> str:
        """The name of a region's column."""
        return self.name if region == "image" else f"{self.name}_{region}"

    @property
    def width(self) -> int:
        """Number of features per image."""
        return RANDOM_FEATURES if self.weights == "random" else self.features

    def collect(self) -> _Collection:
        """Start an evaluation."""
        return _Collection(self)

    @abstractmethod
    def between(self, real: Tensor, made: Tensor) -> float:
        """The distance between two sets of features, (N, F) and (M, F)."""


class _Collection:
    """The features of one evaluation: 4 bytes each, so 2048 of them take 8 kB per slice, region and method."""

    def __init__(self, metric: _Distance) -> None:
        self.metric = metric
        self.real: dict[str, list[Tensor]] = {region: [] for region in metric.regions}
        self.made: dict[str, dict[str, list[Tensor]]] = defaultdict(lambda: {region: [] for region in metric.regions})
        self.patients: dict[str, None] = {}

    def add(self, group: Group, images: Mapping[str, Tensor]) -> None:
        """Add slices; targets of patients without synthesized images count as real images too."""
        for region in self.metric.regions:
            mask = None if region == "image" else region_mask(region, group)
            if group.target is not None:
                self.real[region] += self._features((group.target + 1) / 2, mask)
            for method, made in images.items():
                self.made[method][region] += self._features(made, mask)
        if images:
            self.patients.update(dict.fromkeys(group.patients))

    def conclude(self, progress: Progress) -> Findings:
        """One number per method and region; NaN with fewer than two images on a side."""
        found: dict[str, dict[str, Statistic]] = defaultdict(dict)
        with progress.task(f"Measuring {self.metric.title}", len(self.made) * len(self.real)) as bar:
            for method, by_region in self.made.items():
                for region, made in by_region.items():
                    found[method][self.metric.column(region)] = self._between(self.real[region], made)
                    bar.advance()
        return Findings(overall=found)

    def _between(self, real: Sequence[Tensor], made: Sequence[Tensor]) -> Statistic:
        if sum(map(len, real)) < 2 or sum(map(len, made)) < 2:
            return Statistic(math.nan, math.nan, 0)
        return Statistic(
            self.metric.between(torch.cat(list(real)), torch.cat(list(made))), math.nan, len(self.patients)
        )

    def _features(self, images: Tensor, mask: Tensor | None) -> list[Tensor]:
        metric = self.metric
        seen = images if mask is None else cut_out(images, mask)
        if not len(seen):
            return []
        network = feature_network(metric.weights, metric.features, f"metric {metric.name}").to(images.device)
        with torch.no_grad():
            return [network(to_colour(seen.clamp(0, 1))[0]).float().cpu()]


def cut_out(images: Tensor, mask: Tensor) -> Tensor:
    """Cut a region (B, 1, H, W) out of images (B, T, H, W) in [0, 1], enlarged to their size on black.

    Each slice is cut to the region's bounding box, which is widened to the images' proportions, and resized to their
    size; slices without the region are omitted: (N, T, H, W) with N ≤ B.
    """
    height, width = images.shape[-2:]
    found = []
    for image, inside in zip(images, mask[:, 0], strict=True):
        if inside.any():
            rows, columns = (inside.any(dim=other).nonzero()[[0, -1], 0].tolist() for other in (1, 0))
            scale = max((rows[1] + 1 - rows[0]) / height, (columns[1] + 1 - columns[0]) / width)
            part = (image * inside)[:, _window(rows, scale, height), _window(columns, scale, width)]
            found.append(F.interpolate(part[None], (height, width), mode="bilinear", antialias=True)[0])
    return torch.stack(found) if found else images[:0]


def _window(ends: Sequence[int], share: float, size: int) -> slice:
    """A window with the given share of a side of `size` pixels, centered on a span of it and at least as long."""
    length = min(size, max(ends[1] + 1 - ends[0], round(share * size)))
    start = min(max((ends[0] + ends[1] + 1 - length) // 2, 0), size - length)
    return slice(start, start + length)


class _Given(nn.Module):
    """A feature network for torchmetrics that returns its input, because the features are already computed."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) → (N, F)."""
        return features


class Fid(_Distance):
    """Fréchet inception distance (Heusel et al. 2017) over all test slices; needs Inception's weights.

    One number per method and region, without deviation. FID falls with the number of slices, so compare only values
    from the same test set; with fewer slices than features the covariance does not have full rank. Three channels are
    one color image, otherwise each channel is a gray image.

    Args:
        weights: "pretrained" for Inception's weights, downloaded once by torch-fidelity; a file with these weights; or
            "random" for a small random network, which needs no download and is not comparable with any other FID.
        features: the layer of Inception, by its number of features.
        regions: regions to measure; a region is cut out on black and enlarged to the image's size.
        dimensions: number of spatial dimensions; only 2 (slices).

    Raises:
        GantkError: the weights could not be loaded.
    """

    name = "fid"

    def __init__(
        self,
        weights: Weights = "pretrained",
        features: Features = 2048,
        regions: Distinct[Region] = ("image",),
        dimensions: Literal[2] = 2,
    ) -> None:
        super().__init__(weights, features, regions)

    def between(self, real: Tensor, made: Tensor) -> float:
        """Fréchet distance between two Gaussians with the features' means and covariances, at least 0."""
        from torchmetrics.image import FrechetInceptionDistance  # takes seconds

        metric = FrechetInceptionDistance(feature=_Given(self.width))
        metric.update(real, real=True)
        metric.update(made, real=False)
        return max(0.0, float(metric.compute()))  # rounding can make it negative


class Kid(_Distance):
    """Kernel inception distance (Bińkowski et al. 2018) over all test slices; needs Inception's weights.

    The mean over random subsets of the unbiased squared maximum mean discrepancy with a cubic kernel. Unlike FID, it
    does not depend on the number of slices, and it may be slightly below 0. One number per method.

    Args:
        weights: "pretrained", a file or "random", with the same meaning as for FID.
        features: the layer of Inception, by its number of features.
        subsets: number of subsets.
        subset_size: images per subset; all images if there are fewer.
        seed: seed of the subsets.
        regions: regions to measure; a region is cut out on black and enlarged to the image's size.
        dimensions: number of spatial dimensions; only 2 (slices).

    Raises:
        GantkError: the weights could not be loaded.
    """

    name = "kid"

    def __init__(
        self,
        weights: Weights = "pretrained",
        features: Features = 2048,
        subsets: Count = 100,
        subset_size: Annotated[int, Field(ge=2)] = 1000,
        seed: Whole = 0,
        regions: Distinct[Region] = ("image",),
        dimensions: Literal[2] = 2,
    ) -> None:
        super().__init__(weights, features, regions)
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def between(self, real: Tensor, made: Tensor) -> float:
        """The mean of the discrepancy over the subsets."""
        from torchmetrics.image import KernelInceptionDistance  # takes seconds

        size = min(self.subset_size, len(real), len(made))
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore", UserWarning)  # torchmetrics warns that it keeps all features
            torch.manual_seed(self.seed)
            metric = KernelInceptionDistance(_Given(self.width), subsets=self.subsets, subset_size=size)
            metric.update(real, real=True)
            metric.update(made, real=False)
            return float(metric.compute()[0])
