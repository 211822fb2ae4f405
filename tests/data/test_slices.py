"""Resampling keeps places and values; cropping has an exact way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch.nn.functional import interpolate

from gantk.data.planes import Plane, centre
from gantk.data.slices import SliceSettings, normalised_slices
from gantk.data.slices import slices_of as slices_in
from gantk.data.slices import volume_of as volume_in
from gantk.data.volumes import Volumes


def volumes(shape=(30, 24, 3), spacing=(1.0, 1.0, 2.0), segmentation=None) -> Volumes:
    image = np.random.default_rng(0).uniform(1, 100, shape).astype(np.float32)
    return Volumes({"t1": image}, segmentation, np.diag([-spacing[0], -spacing[1], spacing[2], 1]))


def slices_of(given: Volumes, spacing):
    return slices_in(given, Plane.of(given, spacing))


def volume_of(stack, given: Volumes, spacing):
    return volume_in(stack, Plane.of(given, spacing))


def test_native_spacing_transposes_alone():
    given = volumes()
    image = slices_of(given, None)[0]["t1"]
    assert image.shape == (3, 24, 30)
    np.testing.assert_array_equal(image[1], given.images["t1"][:, :, 1].T)
    np.testing.assert_array_equal(slices_of(given, 1.0)[0]["t1"], image)
    np.testing.assert_array_equal(volume_of(image, given, None), given.images["t1"])


@pytest.mark.parametrize("spacing", [0.5, 2.0, 3.0])
def test_resampling_equals_torchs_antialiased_interpolation(spacing):
    import torch

    given = volumes()
    image = slices_of(given, spacing)[0]["t1"]
    size = tuple(round(n / spacing) for n in (24, 30))
    native = torch.from_numpy(given.images["t1"].transpose(2, 1, 0).copy())[None]
    reference = interpolate(native, size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    inner = np.s_[:, 2:-2, 2:-2]  # torch treats the rim otherwise
    np.testing.assert_allclose(image[inner], reference.numpy()[inner], rtol=1e-4)


def test_refining_equals_scipys_zoom():
    given = volumes()
    reference = ndimage.zoom(given.images["t1"].transpose(2, 1, 0), (1, 2, 2), order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(slices_of(given, 0.5)[0]["t1"], reference, rtol=1e-4)


@given(
    shape=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    voxel=st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)),
    spacing=st.floats(0.5, 3),
)
def test_a_linear_ramp_survives_there_and_back(shape, voxel, spacing):
    """Half a pixel of misalignment would shift the ramp by five times what is allowed."""
    x, y = np.meshgrid(*[np.arange(n) * size for n, size in zip(shape, voxel, strict=True)], indexing="ij")
    ramp = (100 + x + 2 * y).astype(np.float32)[:, :, None]
    given = Volumes({"t1": ramp}, None, np.diag([-voxel[0], -voxel[1], 1.0, 1.0]))
    back = volume_of(slices_of(given, spacing)[0]["t1"], given, spacing)
    assert back.shape == ramp.shape
    margin = [int(np.ceil(2.5 * max(spacing, size) / size)) for size in voxel]
    inner = np.s_[margin[0] : -margin[0], margin[1] : -margin[1]]
    np.testing.assert_allclose(back[inner], ramp[inner], rtol=0, atol=0.1 * 3 * max(spacing, *voxel))


def test_labels_stay_labels():
    labels = np.random.default_rng(0).choice([0, 1, 2, 4], (30, 24, 3)).astype(np.uint8)
    found = slices_of(volumes(segmentation=labels), 1.7)[1]
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, 1, 2, 4}
    fine = slices_of(volumes(segmentation=labels), 0.5)[1]
    np.testing.assert_array_equal(fine[:, ::2, ::2], labels.transpose(2, 1, 0))


def test_outside_the_inputs_brain_every_image_is_exactly_minus_one():
    given = volumes()
    given.images["t1"][:14] = 0
    given.images["t1ce"] = 50 + given.images["t1"]  # a target with a background of its own
    given.images["t1ce"][:4] = 51
    slices = normalised_slices(given, ["t1"], SliceSettings(("t1", "t1ce"), 1.5, (8, 8)))
    assert not slices.foreground.all()
    for image in slices.images.values():
        assert (image[~slices.foreground] == -1).all()
        assert (image[slices.foreground] > -1).any()
        assert np.abs(image).max() <= 1


@given(old=st.tuples(st.integers(1, 9), st.integers(1, 9)), new=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_centre_crops_and_pads_and_goes_back(old, new):
    stack = np.arange(1, 2 * old[0] * old[1] + 1, dtype=np.float32).reshape(2, *old)
    there = centre(stack, new, -1)
    assert there.shape == (2, *new)
    back = centre(there, old, -1)
    kept = back != -1
    assert kept.sum() == 2 * min(old[0], new[0]) * min(old[1], new[1])
    np.testing.assert_array_equal(back[kept], stack[kept])
