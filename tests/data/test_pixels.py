"""Color and gray are converted, and every number is written and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from gantk.data.pixels import write_pixels
from picture_files import HEIGHT, RNG, WIDTH, grey, noise, values


def test_colour_to_grey_as_pillow_does_it(tmp_path: Path) -> None:
    colours = noise()
    write_pixels(tmp_path / "x.png", colours)
    np.testing.assert_array_equal(grey(tmp_path / "x.png"), np.asarray(Image.fromarray(colours).convert("L")))
    for dtype in (np.uint16, np.float32, np.int16):
        deep = colours.astype(dtype) * 100
        write_pixels(tmp_path / "x.tif", deep)
        luma = deep.astype(float) @ [0.299, 0.587, 0.114]
        np.testing.assert_allclose(grey(tmp_path / "x.tif"), luma, atol=0 if dtype == np.float32 else 1, rtol=3e-5)
        assert grey(tmp_path / "x.tif").dtype == dtype
    write_pixels(tmp_path / "g.png", colours[..., 0])
    np.testing.assert_array_equal(values(tmp_path / "g.png"), np.stack([colours[..., 0]] * 3, -1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_number_is_written_and_read(tmp_path: Path, dtype: Any, channels: int) -> None:
    pixels = RNG.integers(0, 255, (HEIGHT, WIDTH, channels)).astype(dtype) * dtype(100)
    for suffix in (".png", ".tif") if np.dtype(dtype).kind == "u" else (".tiff",):
        write_pixels(tmp_path / f"x{suffix}", pixels[..., 0] if channels == 1 else pixels)
        again = values(tmp_path / f"x{suffix}", "rgb" if channels == 3 else "grey")
        assert again.dtype == dtype
        np.testing.assert_array_equal(again, pixels)
        if suffix != ".png" or dtype == np.uint8 or channels == 1:  # another reader's opinion
            other = tifffile.imread(tmp_path / f"x{suffix}") if "tif" in suffix else Image.open(tmp_path / f"x{suffix}")
            np.testing.assert_array_equal(np.asarray(other).reshape(pixels.shape), pixels)
