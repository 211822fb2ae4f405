"""Tiles of a picture: values mapped to colors in fixed windows, so that pictures are comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["ERROR", "GREY", "WEIGHT", "Strip", "Window", "compose", "enlarge", "error_map", "frame"]

Box = tuple[int, int, int, int]
"""Rows and columns `(top, bottom, left, right)`, ends excluded."""

BACKGROUND = (14, 16, 20)
INK = (226, 230, 236)
FAINT = (142, 150, 162)
FRAME = (255, 196, 0)
GAP = 4
SMALLEST_TILE = 160


@dataclass(frozen=True)
class Window:
    """The range of values that the colors span; values outside take the color of the nearer end."""

    low: float
    high: float
    colours: str

    def paint(self, values: np.ndarray) -> np.ndarray:
        """(H, W), or (H, W, 3) which has its own colors, float → (H, W, 3) uint8."""
        share = (np.asarray(values, dtype=np.float32) - self.low) / (self.high - self.low)
        steps = np.clip(np.rint(share * 255), 0, 255).astype(np.uint8)
        return steps if steps.ndim == 3 else _lookup(self.colours)[steps]


GREY = Window(-1.0, 1.0, "gray")
"""The window of images in [-1, 1]; color images keep their colors."""
ERROR = Window(0.0, 0.3, "inferno")
"""The window of absolute errors of images in [0, 1]."""
WEIGHT = Window(0.0, 1.5, "viridis")
"""The window of weight maps."""


@dataclass(frozen=True)
class Strip:
    """One column of a picture: a title, a tile (h, w, 3) uint8 per row, the window of its color bar."""

    title: str
    tiles: Sequence[np.ndarray]
    window: Window | None = None
    emphasis: bool = field(default=False, kw_only=True)


def enlarge(values: np.ndarray, box: Box | None = None) -> np.ndarray:
    """Resize an image (H, W) or (H, W, 3), or the part of it in `box`, to the size of a tile.

    A tile is a whole multiple of the image, so that its shorter side has 160 pixels or more; bicubic, float32.
    """
    if values.ndim == 3:
        return np.stack([enlarge(channel, box) for channel in np.moveaxis(values, -1, 0)], axis=-1)
    height, width = values.shape
    factor = max(1, -(-SMALLEST_TILE // min(height, width)))
    size = (width * factor, height * factor)
    part = values if box is None else values[box[0] : box[1], box[2] : box[3]]
    if part.shape == size[::-1]:
        return np.asarray(part, dtype=np.float32)
    image = Image.fromarray(np.ascontiguousarray(part, dtype=np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def error_map(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The absolute error of images in [0, 1], from images in [-1, 1]: (..., H, W), the mean over colors."""
    error = np.abs(image - target) / 2
    return error.mean(axis=-1) if error.shape[-1] == 3 else error


def frame(tile: np.ndarray, box: Box, shape: tuple[int, int]) -> np.ndarray:
    """The tile with a rectangle around `box`, which is given in the pixels of an image of `shape` (H, W)."""
    rows, columns = tile.shape[0] / shape[0], tile.shape[1] / shape[1]
    image = Image.fromarray(tile)
    top, bottom, left, right = box
    corners = (left * columns, top * rows, right * columns - 1, bottom * rows - 1)
    ImageDraw.Draw(image).rectangle(corners, outline=FRAME, width=2)
    return np.asarray(image)


def compose(strips: Sequence[Strip], row_titles: Sequence[str]) -> np.ndarray:
    """Columns side by side under their titles, a line above each row, color bars below: (H, W, 3) uint8."""
    height, width = strips[0].tiles[0].shape[:2]
    line = 20
    bars = 38 if any(strip.window for strip in strips) else 0
    rows = len(row_titles)
    lines = [line if title else 0 for title in row_titles]
    total_height = GAP + line + sum(lines) + rows * (height + GAP) + bars
    total_width = GAP + len(strips) * (width + GAP)
    picture = Image.new("RGB", (total_width, total_height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for i, strip in enumerate(strips):
        left = GAP + i * (width + GAP)
        _write(draw, strip.title, (left + width / 2, GAP + line / 2), width, INK, bold=strip.emphasis)
        top = GAP + line
        for extra, tile in zip(lines, strip.tiles, strict=True):
            top += extra
            picture.paste(Image.fromarray(tile), (left, top))
            top += height + GAP
        if strip.window:
            _bar(picture, draw, strip, left, top + 2, width)
    top = GAP + line
    for extra, title in zip(lines, row_titles, strict=True):
        if title:
            _write(draw, title, (GAP + 2, top + extra / 2), total_width, FAINT, anchor="lm")
        top += extra + height + GAP
    return np.asarray(picture)


def _bar(picture: Image.Image, draw: ImageDraw.ImageDraw, strip: Strip, left: int, top: int, width: int) -> None:
    assert strip.window is not None
    window = strip.window
    left, width = left + 6, width - 12
    values = np.linspace(window.low, window.high, width, dtype=np.float32)
    picture.paste(Image.fromarray(window.paint(np.tile(values, (10, 1)))), (left, top))
    y = top + 20
    middle = (window.low + window.high) / 2
    _write(draw, f"{window.low:g}", (left, y), width, FAINT, anchor="lm", size=11)
    _write(draw, f"{middle:g}", (left + width / 2, y), width - 60, FAINT, size=11)
    _write(draw, f"{window.high:g}", (left + width, y), width, FAINT, anchor="rm", size=11)


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    at: tuple[float, float],
    room: int,
    ink: tuple[int, int, int],
    *,
    anchor: str = "mm",
    size: int = 13,
    bold: bool = False,
) -> None:
    """Draw one line of text, in a smaller font if space is short."""
    while size > 8 and _font(size, bold).getlength(text) > room:
        size -= 1
    draw.text(at, text, fill=ink, font=_font(size, bold), anchor=anchor)


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), size)


@cache
def _lookup(colours: str) -> np.ndarray:
    table: np.ndarray = matplotlib.colormaps[colours](np.arange(256), bytes=True)[:, :3]
    return table
