"""Embedding of pictures in a page, within the bytes that the page's text and drawings leave."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

__all__ = ["QUALITY", "Picture", "as_webp", "embed", "embed_in_drawings", "room"]

QUALITY = 85
"""The WebP quality if there is enough space."""
MOST = 1_500_000
"""Largest size of a page in bytes, small enough to send by mail and to open on a phone."""
LEAST = 400_000
"""The bytes reserved for a page's pictures, even if long tables leave less."""
LEVELS = ((QUALITY, 1.0), (75, 1.0), (65, 1.0), (55, 1.0), (50, 0.8), (45, 0.65), (40, 0.5))
"""Quality and fraction of the width, in decreasing order."""
SAMPLE = 8
"""Number of pictures from which the size of all is estimated."""

_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")


@dataclass(frozen=True)
class Picture:
    """A picture inside a page; width and height at which it was drawn, in pixels."""

    source: str
    caption: str
    width: int
    height: int


def room(page: str) -> int:
    """The bytes that a page without pictures leaves for them."""
    return max(LEAST, MOST - len(page.encode()))


def embed(pictures: Sequence[tuple[str, np.ndarray]], most: int) -> list[Picture]:
    """Pictures for a page from captions and pixels (H, W, 3) uint8, limited to a total number of bytes."""
    sources = _encode([Image.fromarray(pixels) for _, pixels in pictures], most)
    return [
        Picture(source, caption, pixels.shape[1], pixels.shape[0])
        for source, (caption, pixels) in zip(sources, pictures, strict=True)
    ]


def embed_in_drawings(drawings: Sequence[str], most: int) -> list[str]:
    """SVG drawings with their PNGs replaced by WebP, limited to a total number of bytes for the pictures."""
    found = [match[1] for drawing in drawings for match in _PNG.finditer(drawing)]
    images = []
    for data in found:
        with Image.open(BytesIO(base64.b64decode(data))) as image:
            images.append(image.copy())
    sources = iter(_encode(images, most))

    def smaller(match: re.Match[str]) -> str:
        source = next(sources)
        return source if len(source) < len(match[0]) else match[0]

    return [_PNG.sub(smaller, drawing) for drawing in drawings]


def as_webp(image: Image.Image, quality: int = QUALITY) -> str:
    """The image as a data address."""
    out = BytesIO()
    image.save(out, format="WEBP", quality=quality, method=6)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def _encode(images: Sequence[Image.Image], most: int) -> list[str]:
    """Data addresses at the first level that fits, or at the last level if none fits."""
    sample = images[:: max(1, len(images) // SAMPLE)]
    found: list[str] = []
    for quality, share in LEVELS:
        last = (quality, share) == LEVELS[-1]
        foreseen = sum(len(_at(image, quality, share)) for image in sample) * len(images) / max(1, len(sample))
        if foreseen > most and not last:
            continue
        found = [_at(image, quality, share) for image in images]
        if sum(map(len, found)) <= most:
            break
    return found


def _at(image: Image.Image, quality: int, share: float) -> str:
    if share < 1:
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return as_webp(image, quality)
