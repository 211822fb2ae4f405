"""distance_to_tumour meets the contract of weight maps; the error of its distance is bounded."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from gantk_focal_frequency import DistanceToTumour
from scipy.ndimage import distance_transform_edt

import gantk.testing


class TestDistanceToTumour(gantk.testing.WeightMapConformance):
    component = DistanceToTumour


@dataclass
class Slices:
    """The part of a view that the map uses."""

    segmentation: torch.Tensor


@pytest.fixture
def labels() -> torch.Tensor:
    """(2, 1, 60, 50) labels: two blobs in the first slice, none in the second."""
    y, x = np.mgrid[:60, :50]
    labels = np.zeros((2, 1, 60, 50), np.uint8)
    labels[0, 0][(y - 18) ** 2 + (x - 20) ** 2 < 36] = 4
    labels[0, 0][(y - 44) ** 2 + (x - 33) ** 2 < 9] = 2
    return torch.from_numpy(labels)


def test_weight_fades_with_the_distance(labels) -> None:
    weight = DistanceToTumour(length=10, floor=0.1)(Slices(labels))[0, 0].double().numpy()
    distance = distance_transform_edt(labels[0, 0].numpy() == 0)
    wanted = 0.1 + 0.9 * np.exp(-distance / 10)
    assert (weight[distance == 0] == 1).all()
    near = distance <= 5
    assert np.abs(weight - wanted)[near].max() < 0.03
    # larger distances are too short by up to 29 %
    assert (weight > wanted - 0.03).all()
    assert (weight < 0.1 + 0.9 * np.exp(-0.7 * distance / 10) + 0.03).all()


def test_slices_without_tumour_have_the_floor(labels) -> None:
    weight = DistanceToTumour(floor=0.25)(Slices(labels))
    assert (weight[1] == 0.25).all()
    assert float(weight[0].min()) >= 0.25


def test_labels_say_what_is_tumour(labels) -> None:
    weight = DistanceToTumour(labels=(4,))(Slices(labels))[0, 0]
    assert float(weight[18, 20]) == 1
    assert float(weight[44, 33]) < 1


def test_each_slice_has_its_own_distances(labels) -> None:
    both = DistanceToTumour()(Slices(labels.flip(0)))
    assert torch.equal(both[1:], DistanceToTumour()(Slices(labels[:1])))
