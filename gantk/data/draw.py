"""The order in which patients are drawn: fixed for good by their names and a seed, even in strata where asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["drawn"]


def drawn(names: Sequence[str], seed: int, strata: Mapping[str, str] | None = None) -> list[str]:
    """Names in the seed's order; with strata, so that any run of them has about each stratum's share.

    Args:
        names: sorted.
        seed: of the permutation.
        strata: the stratum of each name; those without one are a stratum themselves.
    """
    # sorting random numbers: this stream of NumPy's is fixed for good, that of `permutation` is not
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    shuffled = [names[i] for i in np.argsort(generator.random(len(names)), kind="stable")]
    of = {name: (strata or {}).get(name, "") for name in shuffled}
    sizes, seen = Counter(of.values()), Counter[str]()
    places = {}
    for name in shuffled:  # the members of each stratum evenly spread over [0, 1]
        places[name] = (seen[of[name]] + 0.5) / sizes[of[name]]
        seen[of[name]] += 1
    return sorted(shuffled, key=places.__getitem__)
