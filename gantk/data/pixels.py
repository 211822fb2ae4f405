"""Reading pictures as upright pixels in one mode, and writing PNG and TIFF; numbers stay unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from gantk.data.decoding import Samples, read_samples
from gantk.errors import DataError
from gantk.files import atomic_write

__all__ = ["SUFFIXES", "Pixels", "can_hold", "read_pixels", "write_pixels"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_LUMA = (19595, 38470, 7471)  # ITU-R 601 in 65536ths, as Pillow converts color to gray


@dataclass(frozen=True)
class Pixels:
    """An upright picture.

    Attributes:
        values: (H, W, C) in the file's own type; C is 1 or 3.
        greatest: the greatest number that the file's samples could hold: 255, 65535, or 4095 for 12 bits; None for
            signed, floating-point and 32-bit numbers, whose range is unknown.
        left_out: what the file contains but the values do not, such as transparency; empty for nothing.
    """

    values: np.ndarray
    greatest: int | None
    left_out: str = ""


def read_pixels(path: Path, mode: Literal["rgb", "grey"]) -> Pixels:
    """The pixels of a PNG, JPEG or TIFF file, converted to RGB or gray; transparency is ignored.

    Raises:
        DataError: the file cannot be read, is damaged, or does not contain a picture of finite numbers.
    """
    samples = read_samples(path)
    values, left_out = _colours(samples)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            f"this image holds {np.count_nonzero(~np.isfinite(values))} values that are NaN or infinite",
            where=path,
            mend="replace them by a number",
        )
    values = _turned(values, samples.orientation)
    if mode == "rgb":
        values = np.broadcast_to(values, (*values.shape[:2], 3))
    elif values.shape[2] == 3:
        values = _luma(values)
    return Pixels(values, samples.greatest, left_out)


def can_hold(suffix: str, pixels: np.ndarray) -> bool:
    """Whether a file with this suffix can hold these numbers: PNG unsigned 8 and 16 bits, TIFF any type."""
    return suffix.lower() != ".png" or pixels.dtype in (np.uint8, np.uint16)


def write_pixels(path: Path, pixels: np.ndarray) -> None:
    """Write pixels, (H, W) or (H, W, 3), as PNG (uint8 and uint16) or TIFF (any type), by suffix; atomic.

    Raises:
        OSError: the file cannot be written.
    """
    import imagecodecs
    import tifffile

    with atomic_write(path) as temporary:
        if path.suffix.lower() == ".png":
            temporary.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
        else:
            photometric = "rgb" if pixels.ndim == 3 else "minisblack"
            tifffile.imwrite(temporary, pixels, photometric=photometric, metadata=None)


def _colours(samples: Samples) -> tuple[np.ndarray, str]:
    """The colors, and a description of what is left out."""
    colours, further = samples.values[..., : samples.colours], samples.values[..., samples.colours :]
    if not samples.further or (further == (samples.greatest or further.flat[0])).all():  # opaque
        return colours, ""
    if samples.further != "premultiplied transparency":
        return colours, samples.further
    if samples.greatest is None:
        straight = np.divide(colours, further, out=np.zeros_like(colours), where=further != 0)
    else:
        straight = np.minimum(np.rint(colours * (samples.greatest / np.maximum(further, 1.0))), samples.greatest)
    return straight.astype(colours.dtype), "transparency"


def _turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, C) upright; EXIF's orientation says where the first row and column belong."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def _luma(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) to (H, W, 1) in the same type; integers rounded as Pillow rounds them."""
    if values.dtype.kind == "f":
        return (values @ (np.array(_LUMA, values.dtype) / 65536))[..., None].astype(values.dtype)
    grey = (values.astype(np.int64) @ np.array(_LUMA) + 0x8000) >> 16
    return grey[..., None].astype(values.dtype)
