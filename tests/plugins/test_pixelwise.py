"""L1, L2 and SSIM, each against a few lines of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.signal import convolve2d

from equations import array, ramp
from gantk import View
from gantk_baselines.pixelwise import L1, L2, Ssim

At = Callable[..., View]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("cls", "error"), [(L1, np.abs), (L2, np.square)])
def test_l1_and_l2(at: At, cls: type, error: Callable[..., Any], weighted: bool) -> None:
    view = at(cls(), weight_map=ramp if weighted else None)
    weight = array(ramp(view)) if weighted else 1.0
    expected = (weight * error(array(view.target) - array(view.output))).mean()
    assert cls()(view).item() == pytest.approx(expected, rel=1e-12)


def smoothed(image: np.ndarray) -> np.ndarray:
    """A Gaussian window of 5, σ 1.5, over (H, W), border reflected."""
    taps = np.exp(-((np.arange(5) - 2.0) ** 2) / (2 * 1.5**2))
    return convolve2d(np.pad(image, 2, mode="reflect"), np.outer(taps, taps) / taps.sum() ** 2, mode="valid")


def structural_similarity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM of two (H, W) images in [0, 1] at every pixel (Wang et al., 2004)."""
    mean_x, mean_y = smoothed(x), smoothed(y)
    variances = smoothed(x * x) - mean_x**2 + smoothed(y * y) - mean_y**2
    covariance = smoothed(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


@pytest.mark.parametrize("weighted", [False, True])
def test_ssim(at: At, weighted: bool) -> None:
    loss = Ssim(window=5)
    view = at(loss, weight_map=ramp if weighted else None)
    target, output = (array(view.target) + 1) / 2, (array(view.output) + 1) / 2
    similarity = np.stack([structural_similarity(t[0], o[0]) for t, o in zip(target, output, strict=True)])
    weight = array(ramp(view))[:, 0] if weighted else 1.0
    assert loss(view).item() == pytest.approx((weight * (1 - similarity) / 2).mean(), rel=1e-9)


def test_ssim_is_0_for_equal_images_and_grows_with_difference(at: At) -> None:
    loss = Ssim(window=5)
    view = at(loss)
    view.group.target = view.fake
    assert loss(view).item() == pytest.approx(0, abs=1e-6)
    view.group.target = -view.fake
    assert loss(view).item() > 0.3
