"""Images of one patient that are moved or mirrored against one another."""

from __future__ import annotations

import numpy as np
import pytest

from gantk.data.check.agreement import displacement, is_mirrored

SPACING = np.array([1.0, 2.0, 3.0])


@pytest.fixture
def head() -> np.ndarray:
    """A ball with a bright spot on one side of X."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in (40, 36, 32)], indexing="ij")
    ball = (x**2 + y**2 + z**2 < 0.5).astype(float)
    return ball + ((x - 0.3) ** 2 + y**2 + z**2 < 0.12)


@pytest.mark.parametrize("move", [(0, 0, 0), (5, 0, 0), (0, -4, 2)])
def test_the_distance_of_a_moved_image_is_found_in_mm(head: np.ndarray, move: tuple[int, int, int]) -> None:
    moved = 500 - 3 * np.roll(head, move, axis=(0, 1, 2))  # another contrast has the same edges
    assert displacement(head, moved, SPACING) == pytest.approx(np.linalg.norm(np.array(move) * SPACING))


def test_an_image_with_left_and_right_exchanged_is_recognized(head: np.ndarray) -> None:
    assert is_mirrored(head, 7 * head[::-1] + 1)
    assert not is_mirrored(head, 7 * head + 1)
    assert not is_mirrored(head, np.zeros_like(head))  # without edges nothing is known
