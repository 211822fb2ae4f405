"""Weight maps, and how they reach features of other sizes and streams."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel

from gantk import PluginError, View
from gantk.translation.step import resize_weight
from gantk_baselines.weight_maps import Edges, Foreground, TumourMask, Uniform

At = Callable[..., View]


def test_uniform(at: At) -> None:
    weight = at(weight_map=Uniform(2.5)).weight
    assert weight.shape == (2, 1, 8, 12)
    assert (weight == 2.5).all()


def test_foreground(at: At) -> None:
    view = at(weight_map=Foreground(3.0, 0.25))
    assert torch.equal(view.weight == 3.0, view.foreground)
    assert torch.equal(view.weight == 0.25, ~view.foreground)


def test_tumour_mask(at: At) -> None:
    view = at(weight_map=TumourMask(5.0, 1.0, labels=(1, 4)))
    view.segmentation[0, 0, 0, :5] = torch.tensor([0, 1, 2, 3, 4], dtype=torch.uint8)
    assert view.weight[0, 0, 0, :5].tolist() == [1, 5, 1, 1, 5]


def test_edges(at: At) -> None:
    view = at(weight_map=Edges(strength=2.0))
    target = view.target.numpy()
    inner = (slice(None), 0, slice(1, -1), slice(1, -1))
    magnitude = np.stack([np.hypot(sobel(t[0], 0), sobel(t[0], 1)) for t in target])[:, 1:-1, 1:-1]
    weight = view.weight.numpy()
    assert weight.min() >= 1
    np.testing.assert_allclose(weight.max(axis=(1, 2, 3)), 3.0, rtol=1e-6)
    ours = weight[inner] - 1
    np.testing.assert_allclose(
        ours / ours.max((1, 2), keepdims=True), magnitude / magnitude.max((1, 2), keepdims=True), atol=1e-3
    )


def test_a_map_has_no_gradient_and_is_computed_once(at: At) -> None:
    asked = []

    def weigh(view: View) -> torch.Tensor:
        asked.append(view.role)
        return view.output.abs()

    view = at(weight_map=weigh)
    assert not view.weight.requires_grad
    assert view.weight is view.weight
    assert asked == ["teacher"]


def test_a_map_of_the_wrong_shape_is_the_plugins_error(at: At) -> None:
    view = at(weight_map=lambda view: view.output.mean(dim=(2, 3)))
    with pytest.raises(PluginError, match=r"maps\.m: the weight map gave the shape \(2, 1\)"):
        _ = view.weight


def test_a_map_is_averaged_over_area_and_repeated_for_each_stream() -> None:
    weight = torch.arange(2 * 4 * 6, dtype=torch.float64).view(2, 1, 4, 6)
    resized = resize_weight(weight, torch.zeros(6, 5, 2, 3))
    mean = weight.view(2, 1, 2, 2, 3, 2).mean(dim=(3, 5))
    assert torch.equal(resized, torch.cat([mean, mean, mean]))


def test_features_that_are_no_multiple_of_the_batch_are_refused() -> None:
    with pytest.raises(PluginError, match="no multiple"):
        resize_weight(torch.ones(2, 1, 4, 4), torch.zeros(5, 3, 4, 4))
