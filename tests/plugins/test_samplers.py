"""Balanced and hard samplers: the weights of slices."""

from __future__ import annotations

import numpy as np
import pytest

from gantk import Candidates, GantkError
from gantk_baselines.samplers import Balanced


def candidates(count, **changes):
    every = {
        "group": "paired",
        "subjects": ["P1"] * count,
        "patients": ["P1"] * count,
        "slices": np.arange(count),
        "tumor": np.zeros(count, bool),
        "core": np.zeros(count, bool),
        "facts": [{}] * count,
        "hardness": np.full(count, np.nan),
    }
    return Candidates(**every | changes)


def test_classes_may_be_what_the_dataset_knows():
    sites = [{"site": "north"}] * 3 + [{"site": "south"}]
    assert Balanced("site")(candidates(4, facts=sites)).tolist() == pytest.approx([1 / 3] * 3 + [1])
    assert Balanced("site", strength=0)(candidates(4, facts=sites)).tolist() == [1] * 4
    with pytest.raises(GantkError, match="nothing is known of slices as 'sit'; did you mean 'site'"):
        Balanced("sit")(candidates(4, facts=sites))
