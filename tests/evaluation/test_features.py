"""Feature networks of metrics: random ones, and colors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gantk.errors import GantkError
from gantk.evaluation.features import RANDOM_FEATURES, feature_network, to_colour


def test_three_channels_are_one_image_and_others_are_gray() -> None:
    images = torch.rand(2, 3, 4, 5)
    assert to_colour(images)[0] is images
    gray, count = to_colour(images[:, :2])
    assert (tuple(gray.shape), count) == ((4, 3, 4, 5), 2)
    for channel in range(3):
        assert torch.equal(gray[:, channel], images[:, :2].flatten(0, 1))  # images of one slice beside each other


def test_random_features_are_the_same_in_every_process_and_tell_images_apart() -> None:
    feature_network.cache_clear()
    network = feature_network("random", 2048, "kid")
    images = torch.linspace(0, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
    found = network(images)
    assert tuple(found.shape) == (2, RANDOM_FEATURES)
    assert not torch.allclose(found[0], found[1])
    feature_network.cache_clear()
    torch.manual_seed(7)
    assert torch.equal(feature_network("random", 64, "fid")(images), found)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GantkError, match=r"metrics\.fid.*w\.pth.*correct `weights`"):
        feature_network(tmp_path / "w.pth", 64, "metrics.fid")
