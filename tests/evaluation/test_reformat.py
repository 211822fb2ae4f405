"""Three planes through one place of a volume."""

from __future__ import annotations

import numpy as np
import pytest

from gantk.evaluation.examples import Examples
from gantk.evaluation.reformat import in_three_planes


def volume(colour: bool = False) -> Examples:
    z, y, x = np.meshgrid(np.arange(5), np.arange(6), np.arange(4), indexing="ij")
    image = ((100 * z + 10 * y + x) / 500).astype(np.float32)
    labels = np.zeros(image.shape, np.uint8)
    labels[3, 2:5, 1] = 4  # its middle in slice 3: row 3, column 1
    if colour:
        image = np.stack([image] * 3, axis=-1)
    return Examples({"t1": image}, image + 0.1, {"g": image - 0.1}, {}, labels, [f"P, slice {i}" for i in range(5)])


@pytest.mark.parametrize("colour", [False, True])
def test_each_plane_goes_through_the_tumor_and_lies_upright(colour: bool) -> None:
    shown = in_three_planes(volume(colour), 3)
    for images, moved in ((shown.inputs["t1"], 0), (shown.target, 0.1), (shown.outputs["g"], -0.1)):
        assert images is not None
        planes = images[..., 0] if colour else images
        assert planes.shape == (3, 6, 6)  # the longest side
        axial, coronal, sagittal = np.rint((planes - np.float32(moved)) * 500)
        assert axial[0, 1:5].tolist() == [300, 301, 302, 303]
        assert coronal[0, 1:5].tolist() == [430, 431, 432, 433]  # the head's top
        assert coronal[4, 1:5].tolist() == [30, 31, 32, 33]
        assert sagittal[0].tolist() == [401, 411, 421, 431, 441, 451]
        assert planes[1, 5].tolist() == [-1] * 6  # around it is background
    assert shown.segmentation.tolist()[1] == [[0] * 6, [0, 0, 4, 0, 0, 0], *[[0] * 6] * 4]
    assert shown.titles == ["P, slice 3", "coronal", "sagittal"]


def test_slices_that_lie_apart_are_stretched() -> None:
    shown = in_three_planes(volume(), 3, depth=2.0)
    assert shown.inputs["t1"].shape == (3, 10, 10)
    assert (shown.inputs["t1"][1] > -1).any(axis=1).all()
    assert set(np.unique(shown.segmentation)) == {0, 4}
