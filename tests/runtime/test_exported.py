"""An exported network as a function: images in scanner units in, the target in its own unit out, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from described import described, of_pictures
from gantk.data.windows import Blended
from gantk.errors import DataError, UsageError
from gantk.files import checksum
from gantk.runtime.exported import Exported, read_description

SPACING = (2.0, 3.0, 4.0)


def head(shape: tuple[int, int, int] = (12, 16, 6)) -> np.ndarray:
    """A ball of different numbers in front of 0."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.9
    return np.where(inside, 300 + 200 * axes[0] + 100 * axes[1], 0).astype(np.float32)


def half(images: np.ndarray) -> np.ndarray:
    """A network that answers with the half of its first channel."""
    return images[:, :1] / 2


@pytest.mark.parametrize("size", [(12, 16, 6), (11, 18, 5)])
def test_slices_are_scaled_padded_and_brought_back(size: tuple[int, int, int]) -> None:
    seen: list[tuple[int, ...]] = []

    def network(images: np.ndarray) -> np.ndarray:
        seen.append(images.shape)
        assert images.dtype == np.float32
        assert abs(images).max() <= 1
        return half(images)

    image = head(size)
    made = Exported(described(), network).predict({"t1": image, "t2": image}, SPACING)
    assert made.shape == size
    assert made.dtype == np.float32
    assert max(shape[0] for shape in seen) <= 3, "as many at once as the description says"
    assert {shape[1] for shape in seen} == {2}
    assert all(side % 4 == 0 for shape in seen for side in shape[2:])
    # in [-1, 1] a Hounsfield unit is a thousandth; outside the head is background
    assert (made[image == 0] == 0).all()
    inside = made[image > 0]
    assert -500 <= inside.min() < inside.max() <= 500
    order = np.argsort(image[image > 0])
    assert (np.diff(inside[order]) > -1e-3).all(), "a brighter input has a brighter answer"


def test_windows_of_volumes_cover_the_head() -> None:
    seen: list[tuple[int, ...]] = []

    def network(images: np.ndarray) -> np.ndarray:
        seen.append(images.shape)
        return np.full_like(images[:, :1], 0.25)

    known = described(dimensions=3, multiple=None, windows=Blended((4, 8, 8), 0.5, "constant", 1))
    image = head()
    made = Exported(known, network).predict({"t1": image, "t2": image}, SPACING)
    assert {shape[2:] for shape in seen} == {(4, 8, 8)}
    np.testing.assert_allclose(made[image > 0], 250, atol=0.1)
    assert (made[image == 0] == 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_come_back_in_their_size_and_depth(dtype: Any) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (19, 14, 3), endpoint=True).astype(dtype)
    made = Exported(of_pictures(), lambda images: images).predict({"a": image})
    assert made.shape == image.shape
    assert made.dtype == dtype
    assert abs(made.astype(int) - image).max() <= (dtype == np.uint16)
    inverted = Exported(of_pictures(), lambda images: -images).predict({"a": image})
    assert abs(inverted.astype(int) - (np.iinfo(dtype).max - image)).max() <= 1 + (dtype == np.uint16)


IMAGE = np.ones((4, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("images", "spacing", "said"),
    [
        ({"t1": IMAGE}, SPACING, "the 't2' image is not there; give t1, t2"),
        ({"t1": IMAGE, "t2": IMAGE, "t3": IMAGE}, SPACING, "takes no 't3'; known: t1, t2"),
        ({"t1": IMAGE, "t2": IMAGE[1:]}, SPACING, r"different shapes; t1 \(4, 4, 4\), t2 \(3, 4, 4\)"),
        ({"t1": IMAGE[0], "t2": IMAGE[0]}, SPACING, "must have three axes and only finite numbers"),
        ({"t1": IMAGE * np.nan, "t2": IMAGE}, SPACING, "must have three axes and only finite numbers"),
        ({"t1": IMAGE, "t2": IMAGE}, None, "the voxel size of these volumes is missing"),
    ],
)
def test_images_that_cannot_be_used(images: dict[str, np.ndarray], spacing: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Exported(described(), half).predict(images, spacing)


def test_one_of_several_inputs_is_enough_where_some_may_lack() -> None:
    exported = Exported(described(incomplete=True), half)
    with pytest.raises(DataError, match="no image is there; give one of t1, t2"):
        exported.predict({}, SPACING)
    image = head()
    assert exported.predict({"t1": image}, SPACING).shape == image.shape


def test_a_picture_of_another_kind_is_refused() -> None:
    with pytest.raises(DataError, match=r"the 'a' image has the shape \(8, 8\); give \(H, W, 3\) arrays"):
        Exported(of_pictures(), half).predict({"a": np.zeros((8, 8), np.uint8)})


def test_it_says_what_it_makes() -> None:
    assert repr(Exported(described(), half)) == "Exported(t1, t2 -> ct)"


def test_a_description_belongs_to_one_file(tmp_path: Path) -> None:
    path, beside = tmp_path / "x.onnx", tmp_path / "x.onnx.json"
    path.write_bytes(b"a network")
    with pytest.raises(UsageError, match=r"cannot be read.*export the run again"):
        read_description(path)
    made = described(file={"name": "x.onnx", "sha256": checksum(path)})
    beside.write_text(json.dumps(made.to_dict()), encoding="utf-8")
    assert read_description(path) == made
    path.write_bytes(b"another")
    with pytest.raises(UsageError, match="the network is not the one that its description describes"):
        read_description(path)
    beside.write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="this is not the description of an exported network"):
        read_description(path)
