"""The order in which patients are drawn: determined by their names and a seed alone, optionally stratified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["drawn"]


def drawn(names: Sequence[str], seed: int, strata: Mapping[str, str] | None = None) -> list[str]:
    """Names in the seed's order; with strata, any consecutive names contain about each stratum's share.

    Args:
        names: sorted names.
        seed: seed of the permutation.
        strata: the stratum of each name; names without a stratum form a stratum of their own.
    """
    # sorts random numbers: NumPy guarantees this stream across versions, but not that of `permutation`
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    shuffled = [names[i] for i in np.argsort(generator.random(len(names)), kind="stable")]
    of = {name: (strata or {}).get(name, "") for name in shuffled}
    sizes, seen = Counter(of.values()), Counter[str]()
    places = {}
    for name in shuffled:  # the members of each stratum evenly spread over [0, 1]
        places[name] = (seen[of[name]] + 0.5) / sizes[of[name]]
        seen[of[name]] += 1
    return sorted(shuffled, key=places.__getitem__)
