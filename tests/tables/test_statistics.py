"""Paired differences: against scipy itself, a bootstrap by hand, published Holm numbers, and where there is little."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gantk.tables.statistics import holm, paired_difference, paired_differences

# Darwin's maize, cross- minus self-fertilised heights in eighths of an inch (Fisher, The Design of Experiments, 1935)
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def by_patient(values) -> dict[str, float]:
    return {f"p{i}": float(value) for i, value in enumerate(values)}


@pytest.fixture(autouse=True)
def _no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_known_data():
    found = paired_difference(by_patient(MAIZE), by_patient([0] * len(MAIZE)))
    assert found.n == 15
    assert found.mean == pytest.approx(20.933, abs=1e-3)
    assert found.p == pytest.approx(0.0412598, abs=1e-6)
    assert found.p == stats.wilcoxon(MAIZE).pvalue
    assert found.remarks == ()


def test_exact_p_by_all_signs():
    differences = np.array([0.3, -0.1, 0.5, 0.7, 0.2, 0.45, -0.05, 0.9])
    ranks = stats.rankdata(np.abs(differences))
    observed = ranks[differences > 0].sum()
    middle = ranks.sum() / 2
    signs = np.array(np.meshgrid(*[[0, 1]] * len(ranks))).reshape(len(ranks), -1).T
    p = np.mean(np.abs(signs @ ranks - middle) >= abs(observed - middle) - 1e-9)
    assert paired_difference(by_patient(differences), by_patient([0] * 8)).p == pytest.approx(p)


def test_interval_is_scipys_and_near_a_bootstrap_by_hand():
    generator = np.random.default_rng(3)
    ours, theirs = generator.gamma(2.0, 1.0, 40), generator.gamma(1.8, 1.0, 40)
    found = paired_difference(by_patient(ours), by_patient(theirs))
    difference = ours - theirs
    direct = stats.bootstrap((difference,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0))
    assert (found.low, found.high) == tuple(direct.confidence_interval)

    means = difference[generator.integers(0, 40, (40_000, 40))].mean(axis=1)
    observed = difference.mean()
    z0 = stats.norm.ppf(np.mean(means < observed))
    left_out = (difference.sum() - difference) / 39
    pull = left_out.mean() - left_out
    a = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    z = z0 + stats.norm.ppf([0.025, 0.975])
    by_hand = np.quantile(means, stats.norm.cdf(z0 + z / (1 - a * z)))
    assert [found.low, found.high] == pytest.approx(by_hand, abs=0.03 * (found.high - found.low))
    assert found == paired_difference(by_patient(ours), by_patient(theirs))  # the seed is fixed


def test_patients_are_matched_by_name():
    found = paired_difference({"a": 1.0, "b": 5.0, "c": 2.0}, {"c": 1.0, "a": 0.5, "d": 9.0})
    assert (found.n, found.mean) == (2, 0.75)
    assert "2 patients without two finite values left out" in found.remarks


def test_equal_in_every_patient():
    values = by_patient(range(8))
    found = paired_difference(values, values)
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.remarks == ("equal in every patient",)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_patients_have_p_but_no_interval(n):
    found = paired_difference(by_patient(range(1, n + 1)), by_patient([0] * n))
    assert (found.low, found.high) == (None, None)
    assert found.p == 2 * 0.5**n
    assert any(f"p cannot fall below {2 * 0.5**n:.3g}" in remark for remark in found.remarks)
    assert "no interval from fewer than 6 patients" in found.remarks


def test_no_patient():
    found = paired_difference({"a": 1.0, "b": math.inf}, {"a": math.nan, "b": math.inf})
    assert (found.n, found.p, found.low) == (0, None, None)
    assert math.isnan(found.mean)
    assert found.to_dict()["mean"] is None


def test_zeros_and_constants_do_not_crash():
    mostly = paired_difference(by_patient([0, 0, 0, 0, 0, 0, 1, 2]), by_patient([0] * 8))
    assert mostly.p == 0.5
    assert "with 2 of 8 differences not equal to 0 p cannot fall below 0.5" in mostly.remarks
    shifted = paired_difference(by_patient([2] * 8), by_patient([1] * 8))
    assert (shifted.low, shifted.high) == (1.0, 1.0)
    assert "the same difference in every patient" in shifted.remarks


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1e-12, 0.5, 0.5000001, 3.0]), min_size=0, max_size=9))
def test_never_nan(differences):
    found = paired_difference(by_patient(differences), by_patient([0] * len(differences)))
    assert found.n == len(differences)
    if differences:
        assert 0 <= found.p <= 1
    if len(differences) >= 6:
        assert found.low <= found.high
        assert min(differences) - 1e-9 <= found.low
        assert found.high <= max(differences) + 1e-9


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # 4·.005, 3·.01, 2·.03, max
    assert holm([0.6, None, 0.7]) == [1.0, None, 1.0]
    assert holm([]) == []
    assert holm([0.02]) == [0.02]


def test_correction_is_within_a_column():
    zero = {"ssim": by_patient([0] * 8), "mse": by_patient([0] * 8)}
    one = {"ssim": by_patient(range(1, 9)), "mse": by_patient([1, -1, 2, -2, 3, -3, 4, -4.5])}
    two = {"ssim": by_patient(range(2, 10)), "mse": by_patient([1, 2, 3, 4, 5, 6, 7, 8])}
    found = paired_differences({"one": (one, zero), "two": (two, zero)}, ["ssim", "mse"])
    assert found["one"]["ssim"].p == found["two"]["ssim"].p == 2 / 2**8
    assert found["one"]["ssim"].holm == 2 * 2 / 2**8
    assert found["two"]["mse"].holm == 2 * found["two"]["mse"].p
    assert found["one"]["mse"].holm == pytest.approx(found["one"]["mse"].p)


def test_a_column_without_common_patients_is_left_out():
    ours, none = {"ssim": by_patient(range(1, 9)), "dice": by_patient([math.nan] * 8)}, {"ssim": by_patient([0] * 8)}
    found = paired_differences({"one": (ours, none | {"dice": by_patient([1] * 8)})}, ["ssim", "dice"])
    assert set(found["one"]) == {"ssim"}
    assert found["one"]["ssim"].holm == found["one"]["ssim"].p
