"""Samplers: how often slices are drawn, what is told of them, and that a resumed run draws the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from candidates import candidates
from gantk import PluginError
from gantk.data.sampler import Hardness, Weighed


def weighed(component):
    return Weighed(component, "sampler 'it' of the plugin mine")


def test_slices_come_as_often_as_their_weight_says():
    weights = np.array([0.0, 1.0, 2.0, 1.0, 0.5, 1.5])
    found = Counter()
    for seed in range(200):
        order = weighed(lambda slices: weights).order(candidates(6), np.random.default_rng(seed).random(7))
        assert len(order) == 6
        one = Counter(order.tolist())
        assert all(abs(one[place] - weight) < 1 for place, weight in enumerate(weights))
        found += one
    assert [found[place] / 200 for place in range(6)] == pytest.approx(weights, abs=0.12)
    equal = weighed(lambda slices: np.ones(6)).order(candidates(6), np.random.default_rng(0).random(7))
    assert sorted(equal) == list(range(6))  # each once
    assert equal.tolist() != list(range(6))


@pytest.mark.parametrize("wrong", [np.ones(5), np.array([1.0] * 5 + [np.nan]), -np.ones(6), np.zeros(6)])
def test_what_is_no_weight_is_refused(wrong):
    with pytest.raises(PluginError, match=r"sampler 'it'.*gives no usable weights"):
        weighed(lambda slices: wrong).order(candidates(6), np.zeros(7))


def test_what_was_told_survives_a_resume():
    told = Hardness()
    told.rate(["P1", "P2"], [3, 4], [0.5, 0.25])
    told.begin_epoch()
    told.rate(["P1"], [3], [0.75])
    other = Hardness()
    other.take_up(told.state())
    assert other == told
    assert (other.known, other.fresh) == ({("P1", 3): 0.5, ("P2", 4): 0.25}, {("P1", 3): 0.75})
