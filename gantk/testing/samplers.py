"""Conformance of samplers."""

from __future__ import annotations

import numpy as np

from gantk.data.sampler import Candidates
from gantk.testing.base import Conformance
from gantk.testing.checks import pickled
from gantk.testing.failures import expect

__all__ = ["SamplerConformance"]


class SamplerConformance(Conformance):
    """Conformance of a sampler; see `Conformance` for how to use it."""

    kind = "sampler"

    def slices(self, seen: float = 0.5) -> Candidates:
        """Forty slices of five subjects of three patients from two sites; some slices were rated."""
        random, number = np.random.default_rng(0), np.arange(40)
        subjects = [f"S{n // 8}" for n in number]
        hardness = np.where(random.random(40) < seen, random.random(40), np.nan)
        sites = [{"site": "north" if n < 30 else "south"} for n in number]
        tumor = number % 4 == 0
        patients = [f"P{n // 16}" for n in number]
        return Candidates("paired", subjects, patients, number % 8, tumor, number % 8 == 0, sites, hardness)

    def test_weights(self) -> None:
        """Each slice has one finite weight of at least 0, before and after slices were rated."""
        sampler = self.make()
        for seen in (0.0, 0.5, 1.0):
            weights = np.asarray(sampler(self.slices(seen)))
            expect(
                weights.shape == (40,), f"weights have the shape {weights.shape}", "return one weight for each slice"
            )
            right = bool(np.isfinite(weights).all() and (weights >= 0).all() and weights.any())
            expect(
                right, f"weights lie from {weights.min()} to {weights.max()}", "return numbers of at least 0, not all 0"
            )

    def test_slices_alone(self) -> None:
        """The same slices have the same weights, in a second call and in a pickled copy; the slices are not changed."""
        sampler, slices = self.make(), self.slices()
        before = slices.hardness.copy()
        first = np.asarray(sampler(self.slices(1.0)))
        sampler(slices)
        same = all(np.array_equal(first, np.asarray(one(self.slices(1.0)))) for one in (sampler, pickled(sampler)))
        mend = "compute weights from the slices and the parameters alone, without state or random numbers"
        expect(same, "slices that are asked for again have other weights: a resumed run would draw others", mend)
        expect(np.array_equal(before, slices.hardness, equal_nan=True), "it changes the slices", mend)
