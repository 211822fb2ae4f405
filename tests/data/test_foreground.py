"""Background is found whatever its number is, holes are no background, and what cannot be a body is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage

from gantk.data.foreground import _filled, body_of, check_plausible, find_background, find_foreground
from gantk.errors import DataError

SHAPE = (40, 44, 12)
X, Y, Z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
BRAIN = (X / 0.8) ** 2 + (Y / 0.85) ** 2 + Z**2 < 1
RANDOM = np.random.default_rng(0)
MR = np.where(BRAIN, 300 + 200 * np.sin(4 * X) + RANDOM.uniform(0, 40, SHAPE), 0)
Z_SCORED = np.where(BRAIN, (MR - MR[BRAIN].mean()) / MR[BRAIN].std(), 0)


@pytest.mark.parametrize(
    ("image", "background"),
    [
        (MR, 0),
        (np.rint(MR), 0),
        (MR + 100, 100),
        ((MR - MR.mean()) / MR.std(), -MR.mean() / MR.std()),
        (MR.max() - MR, MR.max()),
        (Z_SCORED, 0),
        (np.where(BRAIN, np.rint(RANDOM.normal(20, 15, SHAPE)), -1000), -1000),
        (np.where(BRAIN, -1000 + 5 * MR, -1000), -1000),
    ],
    ids=["MR", "integers", "offset", "z-scored", "inverted", "z-scored inside", "soft tissue in HU", "CT"],
)
def test_the_constant_around_a_body_is_found(image, background):
    image = image.astype(np.float32)
    found = find_background(image)
    assert found == pytest.approx(background)
    lost, more = (BRAIN & ~body_of(image, found)).mean(), (~BRAIN & body_of(image, found)).mean()
    assert more == 0
    assert lost < 2e-3  # voxels of the very number, or within a hundredth of the range


@pytest.mark.parametrize("offset", [0, -1000])
def test_what_interpolation_leaves_around_a_body_is_background(offset):
    """A spline leaves no voxel at exactly the background, and undershoots it."""
    image = ndimage.shift(MR, (0.4, 0.3, 0.2), order=3, mode="grid-constant").astype(np.float32) + np.float32(offset)
    image += RANDOM.normal(0, 1e-3, SHAPE).astype(np.float32)
    background = find_background(image)
    assert background == pytest.approx(offset, abs=1)
    body = body_of(image, background)
    assert body[BRAIN].mean() > 0.97
    assert body[~ndimage.binary_dilation(BRAIN, iterations=2)].mean() < 0.03


def test_enclosed_holes_are_foreground_and_open_ones_are_not():
    image = MR.copy()
    image[18:22, 20:24, 5:7] = 0  # inside
    image[20, 30:, 6] = 0  # a cleft from outside
    found = find_foreground({"t1": image}, ["t1"], {})
    assert found.mask[18:22, 20:24, 5:7].all()
    assert not found.mask[20, 30:, 6].any()


def test_holes_of_a_single_slice_are_foreground():
    image = MR[:, :, 6:7].copy()
    image[18:22, 20:24] = 0
    assert (find_foreground({"t1": image}, ["t1"], {}).mask == BRAIN[:, :, 6:7]).mean() > 0.99
    assert find_foreground({"t1": image}, ["t1"], {}).mask[18:22, 20:24].all()


def test_the_foreground_is_that_of_all_inputs_and_of_no_target():
    left, right = MR * (X < 0.1), MR * (X > -0.1)
    images = {"t1": left, "t2": right, "ct": MR + 5}
    found = find_foreground(images, ["t1", "t2"], {})
    assert (found.mask == BRAIN).mean() > 0.99
    assert (find_foreground(images, ["t1"], {}).mask <= (X < 0.1)).all()
    assert found.backgrounds == {"t1": 0, "t2": 0, "ct": 5}


def test_a_mask_and_a_known_background_come_before_what_would_be_found():
    image = np.where(BRAIN, MR, 50)
    mask = (Z < 0).astype(np.uint8)
    assert (find_foreground({"t1": image}, ["t1"], {}, mask).mask == (Z < 0)).all()
    told = find_foreground({"t1": np.maximum(image, 60)}, ["t1"], {"t1": 60.0})
    assert told.backgrounds == {"t1": 60.0}


def check(images, inputs=("t1",), told=(), mask=None):
    images = {name: image.astype(np.float32) for name, image in images.items()}
    found = find_foreground(images, inputs, dict.fromkeys(told, 0.0), mask)
    check_plausible(found, images, inputs, [*images] if mask is not None else told)


def test_plausible_images_pass():
    check({"t1": MR, "t2": Z_SCORED, "ct": np.where(BRAIN, 5 * MR, -1000)}, ("t1", "t2"))
    check({"t1": MR, "t2": MR * (Z < -0.5)}, ("t1", "t2"))  # a part of the brain
    check({"t1": MR, "head": RANDOM.uniform(1, 2, SHAPE)})  # a target with its skull
    check({"t1": MR[4:36, 4:41, 4:8]})  # a narrow crop: three quarters are brain
    check({"t1": RANDOM.uniform(1, 2, SHAPE)}, told=["t1"])
    check({"t1": RANDOM.uniform(1, 2, SHAPE)}, mask=BRAIN)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({"t1": RANDOM.uniform(1, 2, SHAPE)}, r"100% of this image would be foreground.*data\.mask"),
        ({"t1": MR + np.abs(RANDOM.normal(0, 20, SHAPE))}, "would be foreground.*strip the skull"),
        ({"t1": np.where(BRAIN, 7, 0)}, "7 everywhere inside the brain"),
        ({"t1": np.full(SHAPE, 7)}, "inside the brain.*background is taken to be 7"),
        ({"t2": MR, "t1": np.where(BRAIN, 7, 0)}, "7 everywhere inside the brain"),
        ({"t2": MR * (X > 0), "t1": MR * (X < 0.1)}, r"of this image's foreground overlaps.*register"),
    ],
)
def test_what_cannot_be_a_body_is_refused(images, message):
    with pytest.raises(DataError, match=message):
        check(images, tuple(images))
    with pytest.raises(DataError) as caught:
        check(images, tuple(images))
    assert caught.value.where in images
    assert f"[data.intensities.{caught.value.where}]" in str(caught.value)


def test_an_empty_image_is_not_blamed_on_the_one_before_it():
    with pytest.raises(DataError, match="7 everywhere") as caught:
        check({"t1": MR, "t2": np.full(SHAPE, 7.0)}, ("t1", "t2"))
    assert caught.value.where == "t2"


def test_holes_are_filled_alike_with_and_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    shapes = [(6, 7, 5), (5, 6, 1), (1, 1, 7), (3, 1, 4), (1, 1, 1)]
    bodies = [random.random(shape) < share for shape in shapes for share in (0.4, 0.6, 0.8) for _ in range(10)]
    filled = [_filled(body) for body in bodies]
    assert any((one != body).any() for one, body in zip(filled, bodies, strict=True))  # some had holes
    monkeypatch.setitem(sys.modules, "scipy", None)
    for body, one in zip(bodies, filled, strict=True):
        assert np.array_equal(_filled(body), one)
