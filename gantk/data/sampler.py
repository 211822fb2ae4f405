"""Samplers: how often each slice of a batch group is drawn, given how hard slices were in earlier epochs.

With patches of volumes, the slices are the center slices of patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gantk.errors import GantkError, PluginError, RecipeError
from gantk.plugins.blame import blame
from gantk.plugins.nested import stands_for

__all__ = ["Candidates", "Hardness", "Sampler", "Weighed"]

Key = tuple[str, int]
"""A subject, and the index of a slice in its LPS volume."""


@dataclass(frozen=True)
class Candidates:
    """The N slices that a batch group can draw; with patches of volumes, the possible center slices of patches.

    Attributes:
        group: the batch group.
        subjects: the subject of each slice.
        patients: the patient of each slice.
        slices: (N,) int, the index of each slice in the LPS volume.
        tumor: (N,) bool, whether the slice shows tumor.
        core: (N,) bool, whether the slice shows tumor core.
        facts: the dataset's facts about each slice's subject, such as a site.
        hardness: (N,) float, the last rating of the slice by a term (`view.rate`) before this epoch; NaN without a
            rating.
    """

    group: str
    subjects: Sequence[str]
    patients: Sequence[str]
    slices: np.ndarray
    tumor: np.ndarray
    core: np.ndarray
    facts: Sequence[Mapping[str, str]]
    hardness: np.ndarray

    def __len__(self) -> int:
        return len(self.subjects)


@stands_for("sampler")
class Sampler(Protocol):
    """Computes the weights of a batch group's slices in every epoch; a sampler has no state."""

    def __call__(self, slices: Candidates) -> np.ndarray:
        """Weights (N,), at least 0: in M draws, a slice is drawn about M times its share of the sum."""


@dataclass
class Hardness:
    """The hardness of slices: the ratings used in this epoch, and the ratings given since it began."""

    known: dict[Key, float] = field(default_factory=dict)
    fresh: dict[Key, float] = field(default_factory=dict)

    def rate(self, subjects: Sequence[str], slices: Sequence[int], values: Sequence[float]) -> None:
        """Add a step's ratings of its slices; they are used from the next epoch on."""
        self.fresh |= dict(zip(zip(subjects, slices, strict=True), values, strict=True))

    def begin_epoch(self) -> None:
        """Use the ratings given so far."""
        self.known |= self.fresh
        self.fresh = {}

    def state(self) -> dict[str, list[list[Any]]]:
        """The state as plain values."""
        return {name: [[*key, value] for key, value in getattr(self, name).items()] for name in ("known", "fresh")}

    def take_up(self, state: Mapping[str, Sequence[Sequence[Any]]]) -> None:
        """Restore what `state` returned."""
        self.known, self.fresh = ({(s, int(z)): float(v) for s, z, v in state[name]} for name in ("known", "fresh"))


@dataclass
class Weighed:
    """A sampler at its place in the recipe, with the hardness of slices."""

    component: Sampler
    origin: str
    hardness: Hardness = field(default_factory=Hardness)

    def weights(self, slices: Candidates) -> np.ndarray:
        """The candidates' weights (N,).

        Raises:
            RecipeError: the sampler refuses the candidates.
            PluginError: its result is not a set of weights.
        """
        try:
            with blame(self.origin, "data.sampler"):
                weights = np.asarray(self.component(slices), dtype=np.float64)
        except PluginError:
            raise
        except GantkError as error:
            place = ".".join(filter(None, ("data.sampler", error.where)))
            raise RecipeError(error.what, where=place, why=error.why, mend=error.mend) from error
        count = len(slices)
        if weights.shape != (count,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise PluginError(
                f"the {self.origin} gives no usable weights",
                where="data.sampler",
                why=f"{count} finite numbers of at least 0, not all 0, are expected, but it gives {_shown(weights)}",
            )
        return weights

    def order(self, slices: Candidates, random: np.ndarray) -> np.ndarray:
        """The indices of the candidates for one pass of M draws, in order.

        A slice is drawn in proportion to its weight, randomly rounded up or down, so that with equal weights and as
        many draws as slices each slice is drawn once. Neighboring slices replace one another: with fewer draws, each
        subject is drawn in proportion to the sum of its weights.

        Args:
            slices: the candidates.
            random: (M + 1,) numbers in [0, 1).

        Raises:
            GantkError: as `weights` does.
        """
        weights, count = self.weights(slices), len(random) - 1
        ends = np.cumsum(weights) * (count / weights.sum())
        places = np.searchsorted(ends, np.arange(count) + random[count], side="right")
        return np.minimum(places, len(slices) - 1)[np.argsort(random[:count], kind="stable")]


def _shown(weights: np.ndarray) -> str:
    return f"the shape {weights.shape} from {weights.min():g} to {weights.max():g}" if weights.size else "none"
