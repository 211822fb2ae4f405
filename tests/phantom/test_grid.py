"""Lattices of voxels in one box."""

from __future__ import annotations

import numpy as np
import pytest

from gantk.phantom.grid import BOX, Grid


@pytest.mark.parametrize("spacing", [1.0, 2.0, 4.0])
def test_voxels_fill_the_box(spacing: float) -> None:
    grid = Grid.over_box(spacing)
    assert grid.spacing == pytest.approx(spacing)
    assert grid.shape == tuple(int((high - low) / spacing) for low, high in BOX)
    first, last = grid.corners
    np.testing.assert_allclose(first - spacing / 2, [low for low, _ in BOX])
    np.testing.assert_allclose(last + spacing / 2, [high for _, high in BOX])


def test_a_cube_is_clipped_at_the_box() -> None:
    middle = Grid.around(np.zeros(3), 10.0, 2.0)
    assert middle.shape == (10, 10, 10)
    corner = Grid.around(np.array([high for _, high in BOX]), 10.0, 2.0)
    assert corner.shape == (5, 5, 5)


def test_a_window_is_the_part_of_an_array_that_it_says() -> None:
    grid = Grid.over_box(4.0)
    part, where = grid.window(np.array([-10.0, 2.0, 6.0]), np.array([10.0, 30.0, 18.0]))
    x, y, z = grid.open()
    volume = (x * 1e4 + y * 1e2 + z)[where]
    own = part.open()
    np.testing.assert_array_equal(volume, own[0] * 1e4 + own[1] * 1e2 + own[2])
    first, last = part.corners
    assert (first >= [-10.0, 2.0, 6.0]).all()
    assert (last <= [10.0, 30.0, 18.0]).all()
    assert [axis[0] for axis in grid.indices_of(part)] == [piece.start for piece in where]
