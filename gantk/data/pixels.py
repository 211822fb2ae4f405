"""PNG, JPEG and TIFF files to pixels and back, 8 or 16 bits a channel, none of them lost."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gantk.errors import DataError
from gantk.files import atomic_write

__all__ = ["SUFFIXES", "read_pixels", "write_pixels"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_BITS_PER_SAMPLE = 258  # TIFF's tag
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow converts colour to grey


def read_pixels(path: Path, mode: Literal["rgb", "grey"]) -> np.ndarray:
    """The pixels of a file, uint8 or uint16 (H, W, C), upright; C is 3 or 1, transparency is left out.

    Raises:
        DataError: the file cannot be read, or holds something else than 8 or 16 bits a channel.
    """
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise DataError("this file holds several images", where=path, mend="Write each to a file of its own")
            if image.mode in ("I", "F"):
                raise DataError(
                    "this image holds 32-bit numbers, whose range is unknown",
                    where=path,
                    mend="Save it with 8 or 16 bits a channel",
                )
            pixels = _deep_colour(path, image)
            if pixels is None:
                image.load()
                upright = ImageOps.exif_transpose(image)
                if not upright.mode.startswith("I;16"):
                    upright = upright.convert("L" if upright.mode in ("L", "LA", "1") or mode == "grey" else "RGB")
                pixels = np.asarray(upright)
    except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(
            "this image cannot be read, it may be truncated or damaged",
            where=path,
            why=str(error).partition("\n")[0] or type(error).__name__,
            mend="Copy or download the file again",
        ) from error
    pixels = pixels.astype(np.uint8 if pixels.dtype.itemsize == 1 else np.uint16, copy=False)  # native byte order
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    if mode == "rgb":
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return pixels if pixels.shape[2] == 1 else np.rint(pixels @ _LUMA).astype(pixels.dtype)[..., None]


def write_pixels(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 or uint16 pixels, (H, W) or (H, W, 3), as PNG or TIFF by the name's suffix; atomic.

    Raises:
        OSError: the file cannot be written.
    """
    kind = "PNG" if path.suffix.lower() == ".png" else "TIFF"
    with atomic_write(path) as temporary:
        if pixels.dtype == np.uint16 and pixels.ndim == 3:
            from kornia_rs import io

            write = io.write_image_png_u16 if kind == "PNG" else io.write_image_tiff_u16
            write(str(temporary), pixels, "rgb")
        else:
            Image.fromarray(pixels).save(temporary, format=kind)


def _deep_colour(path: Path, image: Image.Image) -> np.ndarray | None:
    """The pixels of an image with 16 bits in each of several channels, which Pillow would cut to 8; or None."""
    if image.format == "PNG":
        deep = any("16" in str(tile.args) for tile in image.tile)  # type: ignore[attr-defined]
    else:
        deep = image.format == "TIFF" and 16 in image.tag_v2.get(_BITS_PER_SAMPLE, ())  # type: ignore[attr-defined]
    if not deep or image.mode.startswith("I;16"):
        return None
    if image.mode != "RGB":
        raise DataError(
            f"this image holds 16 bits a channel in the mode {image.mode}",
            where=path,
            mend="Save it as RGB or grey, without transparency",
        )
    from kornia_rs import io

    read = io.read_image_png_u16 if image.format == "PNG" else io.read_image_tiff_u16
    try:
        return np.asarray(read(str(path), "rgb"))
    except Exception as error:  # it raises nothing more specific
        raise OSError(str(error)) from error
