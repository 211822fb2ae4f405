"""FID and KID: how far the synthesized images of the whole test set are from the real ones, pairs or not."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from gantk.evaluation.features import RANDOM_FEATURES, Weights, feature_network, to_colour
from gantk.evaluation.metrics import Findings
from gantk.evaluation.results import Column, Statistic

if TYPE_CHECKING:
    from gantk.data.batch import Group
    from gantk.progress import Progress

__all__ = ["SET", "Fid", "Kid"]

SET = "test set"
"""The region of columns that have one number for all patients together."""

Features = Literal[64, 192, 768, 2048]


class _Distance(ABC):
    """What FID and KID share: the features of all slices, real and made by each method."""

    higher_is_better = False
    paired = False
    name: str

    def __init__(self, weights: Weights, features: Features) -> None:
        self.weights = weights
        self.features = features
        self.title = f"{self.name.upper()} (random network)" if weights == "random" else self.name.upper()
        feature_network(weights, features, f"metric {self.name}")  # what is lacking is said before training

    @property
    def columns(self) -> dict[str, Column]:
        """The one column, `fid` or `kid`."""
        return {self.name: Column(self.title, SET, self.higher_is_better)}

    @property
    def width(self) -> int:
        """Numbers per image."""
        return RANDOM_FEATURES if self.weights == "random" else self.features

    def collect(self) -> _Collection:
        """Begin an evaluation."""
        return _Collection(self)

    @abstractmethod
    def between(self, real: Tensor, made: Tensor) -> float:
        """The distance of two sets of features, (N, F) and (M, F)."""


class _Collection:
    """The features of one evaluation: 4 bytes each, so 2048 of them take 8 kB per slice and method."""

    def __init__(self, metric: _Distance) -> None:
        self.metric = metric
        self.real: list[Tensor] = []
        self.made: dict[str, list[Tensor]] = defaultdict(list)
        self.patients: dict[str, None] = {}

    def add(self, group: Group, images: Mapping[str, Tensor]) -> None:
        """Take in slices; the target of a patient without images is real all the same."""
        if group.target is not None:
            self.real.append(self._features((group.target + 1) / 2))
        for method, made in images.items():
            self.made[method].append(self._features(made))
        if images:
            self.patients.update(dict.fromkeys(group.patients))

    def conclude(self, progress: Progress) -> Findings:
        """One number per method; NaN with fewer than two images on a side."""
        found: dict[str, dict[str, Statistic]] = {}
        with progress.task(f"Measuring {self.metric.title}", len(self.made)) as bar:
            for method, made in self.made.items():
                enough = sum(map(len, self.real)) > 1 and sum(map(len, made)) > 1
                value = self.metric.between(torch.cat(self.real), torch.cat(made)) if enough else math.nan
                found[method] = {self.metric.name: Statistic(value, math.nan, len(self.patients) if enough else 0)}
                bar.advance()
        return Findings(overall=found)

    def _features(self, images: Tensor) -> Tensor:
        metric = self.metric
        network = feature_network(metric.weights, metric.features, f"metric {metric.name}").to(images.device)
        with torch.no_grad():
            return network(to_colour(images.clamp(0, 1))[0]).float().cpu()


class _Given(nn.Module):
    """torchmetrics' feature network where features are what it is given."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) → (N, F)."""
        return features


class Fid(_Distance):
    """Fréchet inception distance (Heusel et al. 2017) over all test slices; needs Inception's weights.

    One number per method, without deviation. It falls with the number of slices, so compare only what was measured on
    one test set; with fewer slices than features its covariance has not full rank. Three channels are one colour
    image, otherwise each is a grey one.

    Args:
        weights: "pretrained" for Inception's, downloaded once by torch-fidelity; the file of them; or "random" for a
            small random network, which needs no download and is not comparable with any other FID.
        features: the layer of Inception, by its number of features.

    Raises:
        GantkError: the weights cannot be had.
    """

    name = "fid"

    def __init__(self, weights: Weights = "pretrained", features: Features = 2048) -> None:
        super().__init__(weights, features)

    def between(self, real: Tensor, made: Tensor) -> float:
        """Fréchet distance of two Gaussians with the features' means and covariances, at least 0."""
        from torchmetrics.image import FrechetInceptionDistance  # takes seconds

        metric = FrechetInceptionDistance(feature=_Given(self.width))
        metric.update(real, real=True)
        metric.update(made, real=False)
        return max(0.0, float(metric.compute()))  # rounding


class Kid(_Distance):
    """Kernel inception distance (Bińkowski et al. 2018) over all test slices; needs Inception's weights.

    The mean over random subsets of the unbiased squared maximum mean discrepancy with a cubic kernel: unlike FID it
    does not depend on the number of slices, and may be a little below 0. One number per method.

    Args:
        weights: as FID's.
        features: the layer of Inception, by its number of features.
        subsets: how many are drawn.
        subset_size: images of each; all where there are fewer.
        seed: of the subsets.

    Raises:
        GantkError: the weights cannot be had.
    """

    name = "kid"

    def __init__(
        self,
        weights: Weights = "pretrained",
        features: Features = 2048,
        subsets: int = 100,
        subset_size: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(weights, features)
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def between(self, real: Tensor, made: Tensor) -> float:
        """The mean of the discrepancy over the subsets."""
        from torchmetrics.image import KernelInceptionDistance  # takes seconds

        size = min(self.subset_size, len(real), len(made))
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore", UserWarning)  # that it keeps all features
            torch.manual_seed(self.seed)
            metric = KernelInceptionDistance(_Given(self.width), subsets=self.subsets, subset_size=size)
            metric.update(real, real=True)
            metric.update(made, real=False)
            return float(metric.compute()[0])
