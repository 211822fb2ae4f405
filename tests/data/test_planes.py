"""Slices lie as named, along every axis at the spacing that is asked for, and lead back to their volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from gantk.data.normalisation import Normalisation
from gantk.data.planes import Plane
from gantk.data.slices import SliceSettings, intensities_of, normalised_slices, slices_of, volume_of
from gantk.data.volumes import Volumes

DIRECTIONS = ("axial", "coronal", "sagittal")


def volumes(image: np.ndarray, voxel=(1.0, 1.0, 1.0), segmentation=None) -> Volumes:
    return Volumes({"t1": image.astype(np.float32)}, segmentation, np.diag([-voxel[0], -voxel[1], voxel[2], 1.0]))


def test_each_direction_shows_what_its_name_says():
    x, y, z = np.meshgrid(np.arange(4), np.arange(5), np.arange(6), indexing="ij")  # left, posterior, superior
    where = 100 * x + 10 * y + z
    stacks = {name: Plane.of(volumes(where), None, name).stack(where) for name in DIRECTIONS}
    assert {name: stack.shape for name, stack in stacks.items()} == {
        "axial": (6, 5, 4),
        "coronal": (5, 6, 4),
        "sagittal": (4, 6, 5),
    }
    assert stacks["axial"][2, 1, 3] == 312  # third from below, second row from the front
    assert stacks["coronal"][1, 0, 3] == 315  # second from the front, its first row at the top
    assert stacks["sagittal"][3, 5, 1] == 310  # leftmost, its last row at the bottom


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("spacing", [None, 1.0, (2.0, 1.0, 1.5)])
def test_the_way_back_is_exact_where_nothing_is_resampled(direction, spacing):
    image = np.random.default_rng(0).uniform(1, 9, (7, 8, 9)).astype(np.float32)
    plane = Plane.of(volumes(image, (1.5, 1.0, 2.0)), spacing, direction)
    if spacing == 1.0:
        plane = Plane.of(volumes(image), spacing, direction)
    stack = slices_of(volumes(image), plane)[0]["t1"]
    assert stack.shape == plane.native
    np.testing.assert_array_equal(volume_of(stack, plane), image)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_axes_are_resampled_each_by_its_own_spacing(direction):
    """Equal to scipy's zoom, with z, y and x in this order."""
    image = np.random.default_rng(0).uniform(1, 9, (6, 7, 8)).astype(np.float32)
    given = volumes(image, (2.0, 3.0, 4.0))
    plane = Plane.of(given, (1.0, 1.5, 2.0), direction)
    found = plane.volume(slices_of(given, plane)[0]["t1"])
    reference = ndimage.zoom(image, (1, 2, 4), order=1, mode="nearest", grid_mode=True)
    assert found.shape == (6, 14, 32)
    np.testing.assert_allclose(found, reference, rtol=1e-4)
    assert plane.pixel == {"axial": 1.5 * 2.0, "coronal": 1.0 * 2.0, "sagittal": 1.0 * 1.5}[direction]


def test_one_number_leaves_the_distance_of_slices_alone():
    given = volumes(np.ones((6, 7, 8)), (2.0, 3.0, 4.0))
    assert Plane.of(given, 1.0).shape == (8, 21, 12)
    assert Plane.of(given, 1.0, "coronal").shape == (7, 32, 12)


@given(
    shape=st.tuples(*[st.integers(10, 24)] * 3),
    voxel=st.tuples(*[st.floats(0.5, 2)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 3)] * 3),
)
def test_a_linear_ramp_survives_there_and_back_in_three_dimensions(shape, voxel, spacing):
    axes = [np.arange(n) * size for n, size in zip(shape, voxel, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    ramp = (100 + x + 2 * y + 3 * z).astype(np.float32)
    given = volumes(ramp, voxel)
    plane = Plane.of(given, spacing)
    back = volume_of(slices_of(given, plane)[0]["t1"], plane)
    assert back.shape == ramp.shape
    sides = zip(spacing[::-1], voxel, shape, strict=True)
    margin = [min(int(np.ceil(2.5 * max(wanted, size) / size)), (n - 1) // 2) for wanted, size, n in sides]
    inner = tuple(slice(m, n - m) for m, n in zip(margin, shape, strict=True))
    np.testing.assert_allclose(back[inner], ramp[inner], rtol=0, atol=0.1 * 6 * max(*spacing, *voxel))


def test_labels_and_foreground_take_the_nearest_voxel_along_every_axis():
    labels = np.random.default_rng(0).choice([0, 1, 2, 4], (6, 7, 8)).astype(np.uint8)
    given = volumes(np.ones((6, 7, 8)), (2.0, 2.0, 2.0), labels)
    fine = slices_of(given, Plane.of(given, (1.0, 1.0, 1.0)))[1]
    assert fine is not None
    np.testing.assert_array_equal(fine[::2, ::2, ::2], labels.transpose(2, 1, 0))
    np.testing.assert_array_equal(fine[1::2, 1::2, 1::2], labels.transpose(2, 1, 0))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("spacing", [None, (2.0, 1.5, 1.0)])
def test_intensities_come_back_from_any_direction(direction, spacing):
    shape = (20, 24, 22)
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = sum(axis**2 for axis in grid) < 0.7
    image = np.where(inside, 500 + 100 * grid[0] + 50 * grid[2], 0)
    given = volumes(image)
    settings = SliceSettings(("t1",), spacing, (24, 24), Normalisation(), plane=direction)
    slices = normalised_slices(given, ["t1"], settings)
    assert slices.pixel == settings.grid(given).pixel
    back = intensities_of(slices.images["t1"], given, ["t1"], settings, slices.scales["t1"])
    np.testing.assert_array_equal(back == 0, ~inside)
    if spacing is not None:  # the rim is averaged with the background around it
        inside = ndimage.binary_erosion(inside, iterations=4)
    assert np.abs(back - image)[inside].max() < (1e-3 if spacing is None else 5)
