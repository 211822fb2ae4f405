"""Pictures resized to slices, and back."""

from __future__ import annotations

import numpy as np
import pytest

from gantk.data.picture import Picture
from gantk.data.slices import SliceSettings
from gantk.errors import DataError

SETTINGS = SliceSettings(("a", "b"), None, (8, 12))


def test_resizing_averages_and_comes_back_to_the_file_s_size() -> None:
    y = np.linspace(0, 255, 32, dtype=np.float32)
    board = (np.indices((32, 48)).sum(0) % 2 * 255).astype(np.float32)
    picture = Picture({"a": np.stack([np.broadcast_to(y[:, None], (32, 48)), board])}, {"a": 255}, (8, 12))
    slices = picture.slices(["a"], SETTINGS)
    ramp, grey = slices.images["a"][0]
    assert abs(grey).max() < 0.05  # no aliasing: a chequerboard is grey
    np.testing.assert_allclose(
        ramp[1:-1, 5], np.interp(np.arange(8) * 4 + 1.5, np.arange(32), y)[1:-1] / 127.5 - 1, atol=0.02
    )
    back = picture.restore(slices.images["a"][:, :1], ["a"], SETTINGS, slices, slices.scales["a"])
    assert back.shape == (32, 48)
    assert abs(back[4:-4, 20].astype(float) - y[4:-4]).max() < 4
    with pytest.raises(DataError, match=r"do not fill the crop.*raise data.size"):
        picture.slices(["a"], SliceSettings(("a",), None, (16, 12)))
