"""Slices as inputs of a generator, and their way through a network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from gantk.data.normalisation import BACKGROUND
from gantk.data.stacks import own_size, shown, stacked, through

FULL = [False, True, True, False, True]


def slices(pixel: float | None = 1.0) -> Any:
    """Five slices of which three show something; each holds its number."""
    foreground = np.zeros((5, 4, 6), bool)
    foreground[FULL, 1:3, 1:4] = True
    numbers = np.broadcast_to(np.arange(5.0)[:, None, None], foreground.shape)
    image = np.where(foreground, numbers / 10, BACKGROUND).astype(np.float32)
    return SimpleNamespace(foreground=foreground, images={"t1": image}, pixel=pixel)


def test_neighbors_are_the_nearest_slices_that_show_something() -> None:
    found = stacked(slices(), ["t1"], 1, 1)
    assert found.shape == (5, 3, 4, 6)
    middle = (found[:, :, 2, 2] * 10).round().tolist()
    assert [middle[row] for row in (1, 2, 4)] == [[1, 1, 2], [1, 2, 4], [2, 4, 4]]  # the ends come again
    assert middle[0] == middle[3] == [-10, -10, -10]


def test_a_hidden_modality_is_background_in_its_place() -> None:
    found = stacked(slices(), ["t2", "t1"], 1, 0)
    assert (found[:, 0] == BACKGROUND).all()
    np.testing.assert_array_equal(found[:, 1], slices().images["t1"])


def test_what_is_shown_can_be_written_to() -> None:
    stack = np.zeros((5, 2, 4, 6), np.float32)
    (box,) = shown(stack, slices().foreground, volume=True)
    assert box.shape == (1, 2, 4, 2, 3)
    box[:] = 1
    assert stack.sum() == box.size
    assert [part.shape for part in shown(stack, slices().foreground, volume=False)] == [(1, 2, 4, 6)] * 3


def test_full_slices_alone_go_through_a_network_padded_to_what_it_takes() -> None:
    seen: list[np.ndarray] = []

    def network(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.concatenate([images * 0, images[:, :1] + 0.5], axis=1)

    one, done = slices(), []
    images = stacked(one, ["t1"], 1, 0)
    found = through(
        network,
        images,
        one,
        slice(1, 2),
        crop=(8, 8),
        fitting=lambda size: (8, 8),
        batch=2,
        advance=done.append,
    )
    assert done == [2, 1]
    assert [part.shape for part in seen] == [(2, 1, 8, 8), (1, 1, 8, 8)]
    assert (seen[0][:, :, 0] == BACKGROUND).all()  # scans are padded with background
    np.testing.assert_allclose(found[FULL], images[FULL] + 0.5)
    assert (found[[not full for full in FULL]] == BACKGROUND).all()


def picture(size: tuple[int, int]) -> Any:
    return SimpleNamespace(own_size=size, size=None, sized=lambda asked: asked)


def test_pictures_keep_their_size_and_small_ones_grow_to_the_crop() -> None:
    def any_size(size: tuple[int, int]) -> tuple[int, int]:
        return size

    assert own_size(picture((300, 200)), None, (64, 64), any_size)[0] == (300, 200)
    assert own_size(picture((32, 48)), None, (64, 64), any_size) == ((64, 96), "")
    assert own_size(picture((300, 200)), (128, 128), (64, 64), any_size) == ((128, 128), "")
    assert "training used 64 × 64" in own_size(picture((300, 200)), None, (64, 64), any_size)[1]
    size, told = own_size(picture((300, 200)), None, (64, 64), lambda size: None)
    assert size == (64, 64)
    assert "accepts 64 × 64 pixels only" in told
