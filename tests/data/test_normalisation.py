"""Scales are invertible and leave the background at exactly -1."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gantk.data.normalisation import (
    DARKEST,
    Normalisation,
    Scale,
    fit_scale,
    fixed_scale,
    shared_scale,
    typical_scale,
)
from gantk.errors import DataError


@settings(max_examples=200, deadline=None)
@given(
    volume=hnp.arrays(np.float32, (40,), elements=st.floats(-50, 32767, width=32)),
    inside=hnp.arrays(np.bool_, (40,)),
    percentile=st.floats(50, 100),
    reach=st.floats(0.5, 4),
)
def test_normalisation_is_invertible_and_the_background_exact(volume, inside, percentile, reach):
    assume(volume[inside].any())
    scale = Scale.from_dict(
        json.loads(json.dumps(fit_scale(volume, inside, Normalisation(percentile, reach)).to_dict()))
    )
    v = scale.apply(volume, inside)
    assert v.dtype == np.float32
    assert (v[~inside] == -1).all()
    assert v[inside].min() > -1
    assert v.max() <= 1
    # float32 resolves 6e-8 of the range, which a shoulder of a tenth spreads over at most ten times itself
    slope = np.max(np.diff(scale.units) / np.diff(scale.values))
    back = scale.invert(v, inside)
    above = inside & (v > np.float32(DARKEST))
    np.testing.assert_allclose(back[above], volume[above], rtol=1e-6, atol=1.3e-7 * slope)
    resolved = 2 / 65535 * slope + np.finfo(np.float32).smallest_subnormal  # kept off the background
    np.testing.assert_allclose(back[inside], volume[inside], rtol=1e-6, atol=resolved)
    assert (back[~inside] == 0).all()


def test_the_shoulder_begins_at_the_reach_of_the_percentile():
    volume = np.arange(1, 1001, dtype=np.float32)
    volume[-1] = 32767
    scale = fit_scale(volume, volume > 0, Normalisation(80.0, 1.5))
    assert scale.units == (0.0, pytest.approx(1.5 * np.percentile(volume, 80)), 32767.0)
    assert scale.values == (-1.0, 0.9, 1.0)


def test_an_enhancing_tumour_leaves_the_brain_as_it_was():
    brain = np.random.default_rng(0).normal(100, 10, 10_000).astype(np.float32)
    tumour = brain.copy()
    tumour[:300] *= 2
    everywhere = np.ones(brain.shape, bool)
    plain, enhanced = (fit_scale(v, everywhere).apply(v, everywhere) for v in (brain, tumour))
    assert abs(plain[300:] - enhanced[300:]).max() < 0.01
    assert enhanced[:300].mean() > 0.5


def test_the_map_is_one_line_where_nothing_is_brighter_than_the_shoulder():
    volume = np.array([50, 100, 150], np.float32)
    scale = fit_scale(volume, volume > 0, Normalisation(100, 2))
    assert np.diff(scale.units) / np.diff(scale.values) == pytest.approx([300 / 1.9] * 2)


def test_negative_intensities_begin_at_the_lower_end():
    volume = np.array([-20.0, 0, 10, 80, 100], np.float32)
    scale = fit_scale(volume, np.ones(5, bool), Normalisation(75, 1))
    assert scale.apply(volume, np.ones(5, bool))[[0, -1]].tolist() == pytest.approx([-1, 1], abs=1e-4)


def test_a_constant_brain_has_a_scale_and_an_empty_one_none():
    flat = np.full(9, 7, np.float32)
    assert fit_scale(flat, flat > 0, Normalisation(99.5, 1)).apply(flat, flat > 0) == pytest.approx([0.9] * 9)
    for inside in (np.ones(9, bool), np.zeros(9, bool)):
        with pytest.raises(DataError, match="empty"):
            fit_scale(np.zeros(9, np.float32), inside)


def test_the_background_is_a_units_number_outside_and_like_any_other_inside():
    volume = np.array([-1000, 0, 0, 900], np.float32)
    inside = np.array([False, True, False, True])
    scale = Scale((-100.0, 500.0, 1000.0), (-1.0, 0.9, 1.0), background=-1000.0)
    scale = Scale.from_dict(json.loads(json.dumps(scale.to_dict())))
    v = scale.apply(volume, inside)
    assert (v > -1).tolist() == inside.tolist()
    assert scale.invert(v, inside) == pytest.approx([-1000, 0, -1000, 900], abs=1e-3)


def test_a_shared_scale_holds_all_patients_and_some_more_and_an_implant_does_not_flatten_it():
    head = np.random.default_rng(0).uniform(-100, 100, 10_000).astype(np.float32)
    metal = head.copy()
    metal[:20] = 20_000
    everywhere = np.ones(head.shape, bool)
    scale = shared_scale([fit_scale(v, everywhere) for v in (head, head - 3, head + 4, metal)])
    beyond = np.array([-110, 20_010], np.float32)  # a test patient's
    for volume in (head, metal, beyond):
        v = scale.apply(volume, np.ones(volume.shape, bool))
        assert v.min() > -1
        assert v.max() < 1
        assert scale.invert(v) == pytest.approx(volume, abs=20)
    assert np.ptp(scale.apply(head, everywhere)) > 1


def test_a_fixed_scale_clips_what_is_beyond_its_range():
    scale = fixed_scale(-1000, 1000, background=-1024)
    v = scale.apply(np.array([-1024, -1500, 0, 3000], np.float32), np.array([False, True, True, True]))
    assert v == pytest.approx([-1, -1, 0, 1], abs=1e-4)
    assert v[1] > -1


def test_the_typical_scale_is_the_median_patients():
    scales = [
        Scale((0.0, upper, 2 * upper), (-1.0, 0.9, 1.0), background)
        for upper, background in ((5.0, 0.0), (1.0, 0.0), (3.0, 7.0))
    ]
    assert typical_scale(scales) == Scale((0.0, 3.0, 6.0), (-1.0, 0.9, 1.0), 0.0)


def test_values_move_from_one_scale_to_another_and_the_background_stays():
    own, to = Scale((0.0, 90.0, 100.0), (-1.0, 0.9, 1.0)), fixed_scale(-50, 150)
    x = np.array([0, 0, 45, 100], np.float32)
    inside = np.array([False, True, True, True])
    moved = own.moved(own.apply(x, inside), to)
    assert moved == pytest.approx([-1, -0.5, -0.05, 0.5], abs=1e-3)
    assert moved[0] == -1
    assert own.moved(moved, own) is moved
