"""Balanced and hard samplers: the weights of slices."""

from __future__ import annotations

import numpy as np
import pytest

from candidates import candidates
from gantk import GantkError
from gantk_baselines.samplers import Balanced, Hard


def test_classes_may_be_what_the_dataset_knows():
    sites = [{"site": "north"}] * 3 + [{"site": "south"}]
    assert Balanced("site")(candidates(4, facts=sites)).tolist() == pytest.approx([1 / 3] * 3 + [1])
    assert Balanced("site", strength=0)(candidates(4, facts=sites)).tolist() == [1] * 4
    with pytest.raises(GantkError, match="slices have no property 'sit'; did you mean 'site'"):
        Balanced("sit")(candidates(4, facts=sites))


def test_classes_are_told_from_tumor_and_patients() -> None:
    tumor = np.array([True, False, False, False])
    assert Balanced("tumor")(candidates(4, tumor=tumor)).tolist() == pytest.approx([1, *[1 / 3] * 3])
    patients = ["P1", "P1", "P2", "P2"]
    assert Balanced("patient", strength=0.5)(candidates(4, patients=patients)).tolist() == pytest.approx([2**-0.5] * 4)


def test_hard_slices_weigh_by_their_error_over_the_mean() -> None:
    hardness = np.array([0.1, 0.3, np.nan, 0.8])
    mean = 0.4
    assert Hard()(candidates(4, hardness=hardness)).tolist() == pytest.approx([0.1 / mean, 0.3 / mean, 1, 0.8 / mean])
    squared = Hard(strength=2.0, limit=3.0)(candidates(4, hardness=hardness))
    assert squared.tolist() == pytest.approx([1 / 3, 0.5625, 1, 3]), "no weight beyond the limit or below its inverse"
    assert Hard()(candidates(3)).tolist() == [1, 1, 1], "nothing was told yet"
    assert Hard()(candidates(2, hardness=np.zeros(2))).tolist() == [1, 1]
