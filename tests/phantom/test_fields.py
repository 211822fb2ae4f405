"""Random fields: the same at every spacing."""

from __future__ import annotations

import numpy as np

from gantk.phantom.fields import smooth_field, stream
from gantk.phantom.grid import Grid


def test_a_field_is_the_same_at_every_spacing() -> None:
    fine, coarse = (Grid.over_box(s) for s in (2.0, 6.0))  # every third fine voxel centre is a coarse one
    a = smooth_field(stream(0, 0, "x"), fine, 20.0)[1::3, 1::3, 1::3]
    b = smooth_field(stream(0, 0, "x"), coarse, 20.0)
    n = [min(p, q) for p, q in zip(a.shape, b.shape, strict=True)]
    np.testing.assert_allclose(a[: n[0], : n[1], : n[2]], b[: n[0], : n[1], : n[2]], atol=1e-4)
    assert abs(float(b.std()) - 1) < 0.15
