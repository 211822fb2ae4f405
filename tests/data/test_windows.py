"""Images in overlapping windows."""

from __future__ import annotations

import numpy as np
import pytest

from gantk.data.windows import in_windows


@pytest.mark.parametrize("size", [(16, 12), (17, 12), (40, 53)])
def test_what_needs_no_neighbours_is_the_same_in_windows(size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, *size)).astype(np.float32)
    shapes = []

    def network(part: np.ndarray) -> np.ndarray:
        shapes.append(part.shape[-2:])
        return 2 * part[:, :1] + 1

    found = in_windows(network, images, (16, 12))
    np.testing.assert_allclose(found, 2 * images[:, :1] + 1, rtol=1e-5, atol=1e-5)
    assert found.dtype == np.float32
    assert set(shapes) == {(16, 12)}
    assert (len(shapes) == 1) == (size == (16, 12))


def test_windows_that_disagree_leave_no_edge() -> None:
    tones = iter([0.0, 1.0, 0.0])

    def network(part: np.ndarray) -> np.ndarray:
        return np.full_like(part, next(tones))

    row = in_windows(network, np.zeros((1, 1, 8, 40), np.float32), (8, 16))[0, 0, 0]
    assert row[0] == 0
    assert row.max() == 1
    assert abs(np.diff(row)).max() < 0.35
