"""Decoding of PNG, JPEG and TIFF files into the stored numbers and the meaning that the tags give them."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from gantk.errors import DataError

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

__all__ = ["Samples", "read_samples"]

_ORIENTATION = 274  # the tag of TIFF and EXIF
_TIFF_KINDS = {
    0: "grey",  # white is zero
    1: "grey",
    2: "RGB",
    3: "palette",
    5: "CMYK",
    6: "YCbCr",
}
_COLOURS = {"grey": 1, "RGB": 3, "palette": 1, "CMYK": 4, "YCbCr": 3}
_WHITE_IS_ZERO, _CMYK, _JPEG = 0, 1, 7  # values of TIFF's tags, in this order: photometric, ink set, compression
Further = Literal["", "transparency", "premultiplied transparency", "extra channel"]
_FURTHER: dict[int, Further] = {
    0: "extra channel",
    1: "premultiplied transparency",
    2: "transparency",
}

# tifffile's messages about damaged tags would appear among gantk's output, without the file's name
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Samples:
    """The contents of a file, before the image is turned upright.

    Attributes:
        values: (H, W, S): 1 or 3 color channels, followed by any further channels.
        colours: number of color channels: 1 (gray, black at 0) or 3 (RGB).
        greatest: the greatest number that the file's samples can represent; None for signed, floating-point and
            32-bit numbers.
        orientation: as in EXIF, 1 to 8.
        further: the kinds of the channels after the colors.
    """

    values: np.ndarray
    colours: Literal[1, 3]
    greatest: int | None
    orientation: int = 1
    further: Further = ""


def read_samples(path: Path) -> Samples:
    """The contents of a PNG, JPEG or TIFF file; the format is recognized by the content, not by the name.

    Color profiles and gamma are ignored.

    Raises:
        DataError: the file cannot be read, its checksums or sizes show damage, it has another format, or it stores
            something other than a gray or color image.
    """
    try:
        content = path.read_bytes()
        for magic, read in _READERS.items():
            if content.startswith(magic):
                return read(path, content)
        with Image.open(io.BytesIO(content)) as image:
            other = image.format
    except DataError:
        raise
    except Exception as error:  # decoders raise errors of every kind on damaged files
        raise DataError(
            "this image cannot be read and may be truncated or damaged",
            where=path,
            why=(isinstance(error, OSError) and error.strerror)
            or str(error).partition("\n")[0]
            or type(error).__name__,
            mend="copy or download the file again",
        ) from error
    raise DataError(f"this image is a {other} file", where=path, mend="convert it to PNG, JPEG or TIFF")


def _refuse(path: Path, what: str, mend: str = "save it as gray or RGB") -> DataError:
    return DataError(f"this image holds {what}", where=path, mend=mend)


def _several(path: Path) -> DataError:
    return _refuse(path, "several images", "write each image to its own file")


def _png(path: Path, content: bytes) -> Samples:
    import imagecodecs

    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        image.verify()  # all checksums
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise _several(path)
        orientation = _orientation(image)
    values = _channels_last(imagecodecs.png_decode(content))  # expands palettes, tRNS and samples of fewer than 8 bits
    alpha = values.shape[2] in (2, 4)
    return Samples(
        values,
        1 if values.shape[2] < 3 else 3,
        int(np.iinfo(values.dtype).max),
        orientation,
        "transparency" if alpha else "",
    )


def _jpeg(path: Path, content: bytes) -> Samples:
    """Only the first image: cameras append previews and gain maps."""
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        orientation = _orientation(image)
        image.load()
        if image.mode not in ("L", "RGB", "CMYK"):
            raise _refuse(path, f"colors in the mode {image.mode}")
        values = _channels_last(np.asarray(image if image.mode != "CMYK" else image.convert("RGB")))
    return Samples(values, 1 if values.shape[2] == 1 else 3, 255, orientation)


def _tiff(path: Path, content: bytes) -> Samples:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = _only_page(path, file)
        kind = _TIFF_KINDS.get(int(page.photometric), "")
        if not kind or (kind == "YCbCr" and page.compression != _JPEG) or page.tags.valueof(332, _CMYK) != _CMYK:
            name = getattr(page.photometric, "name", page.photometric)
            raise _refuse(path, f"colors in the mode {name}")
        if page.dtype is None or page.dtype.kind not in "buif":
            raise _refuse(path, "samples of an unsupported type", "save it with 8 or 16 bits per channel")
        _check_segments(page, len(content))
        values = page.asarray()
        values = np.moveaxis(values, page.axes.index("S"), -1) if "S" in page.axes else values[..., None]
        bits, orientation = page.bitspersample, page.tags.valueof(_ORIENTATION, 1)
        extra, colormap = [int(sample) for sample in page.extrasamples], page.colormap
    colours = _COLOURS[kind]
    if values.shape[2] - len(extra) != colours or len(extra) > 1 or (extra == [0] and kind != "RGB"):
        raise _refuse(
            path, f"{values.shape[2]} channels, which do not fit a {kind} image", "save only the color channels"
        )
    unsigned = values.dtype.kind in "bu"
    greatest = (1 << bits) - 1 if unsigned and bits <= 16 else None  # 32-bit numbers are counts without a white level
    if page.photometric == _WHITE_IS_ZERO or kind in ("CMYK", "palette"):
        if greatest is None:
            raise _refuse(
                path,
                f"{kind} pixels of the type {values.dtype}, but only unsigned integers up to 16 bits are supported",
            )
        if kind == "grey":
            values[..., 0] = greatest - values[..., 0]
        elif kind == "CMYK":
            values = _rgb_of_cmyk(values, greatest)
        else:
            values, greatest = _looked_up(path, values, colormap), 255
    if greatest is not None and greatest < 255:  # as in PNG: 1, 2 and 4 bits are scaled to the range of 8
        values = np.rint(values * np.float32(255 / greatest)).astype(np.uint8)
        greatest = 255
    return Samples(values, 1 if kind == "grey" else 3, greatest, int(orientation), _FURTHER[extra[0]] if extra else "")


def _only_page(path: Path, file: TiffFile) -> TiffPage:
    """The image of a TIFF file; smaller copies in the same file are skipped."""
    pages: list[Any] = [page for page in file.pages if not page.is_reduced]  # type: ignore[union-attr]
    if len(pages) != 1 or int((file.imagej_metadata or {}).get("images", 1)) > 1:
        raise _several(path)
    page: TiffPage = pages[0].aspage()
    if page.imagedepth > 1:
        raise _several(path)
    if page.imagewidth * page.imagelength > 2 * (Image.MAX_IMAGE_PIXELS or 1 << 40):  # Pillow's limit
        raise ValueError(f"{page.imagewidth} × {page.imagelength} pixels are too many")
    return page


def _check_segments(page: TiffPage, size: int) -> None:
    """Reject strips or tiles that are missing or extend past the end of the file; they would be read as zeros."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if len(segments) < int(np.prod(page.chunked)) or not all(start and count for start, count in segments):
        raise ValueError("a strip or tile is missing")
    if any(start + count > size for start, count in segments):
        raise ValueError("a strip or tile extends past the end of the file")


def _rgb_of_cmyk(values: np.ndarray, greatest: int) -> np.ndarray:
    """(H, W, 4 + …) to (H, W, 3 + …): the simple conversion without a color profile."""
    light = greatest - values[..., :4].astype(np.float64)
    rgb = np.rint(light[..., :3] * light[..., 3:] / greatest).astype(values.dtype)
    return np.concatenate([rgb, values[..., 4:]], axis=2)


def _looked_up(path: Path, values: np.ndarray, colormap: np.ndarray | None) -> np.ndarray:
    """Palette indices to (H, W, 3 + …), uint8; old files have palettes of 8 bits."""
    if colormap is None or values.shape[2] != 1:
        raise _refuse(path, "a palette that does not fit its pixels")
    colours = np.asarray(colormap) if np.max(colormap) < 256 else np.asarray(colormap) >> 8
    return np.moveaxis(colours.astype(np.uint8)[:, values[..., 0]], 0, -1)


def _orientation(image: Image.Image) -> int:
    found = image.getexif().get(_ORIENTATION, 1)
    return found if isinstance(found, int) else 1


def _channels_last(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 3 else values[..., None]


_READERS: dict[bytes, Callable[[Path, bytes], Samples]] = {
    b"\x89PNG": _png,
    b"\xff\xd8\xff": _jpeg,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
    b"II+\0": _tiff,
    b"MM\0+": _tiff,
}
