"""Figures as files and as parts of a page."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from gantk.errors import UsageError
from gantk.files import atomic_write

__all__ = ["FORMATS", "INK", "as_svg", "check_format", "save_figure"]

INK = "#010203"
"""The color that a page replaces with its text color."""
FORMATS = (".png", ".pdf")
DPI = 220
#: Text stays text, in fonts that come with the file.
SETTINGS: Any = {"pdf.fonttype": 42, "svg.fonttype": "none"}


def check_format(path: Path) -> None:
    """Reject an invalid file name before any work.

    Raises:
        UsageError: the name ends in neither `.png` nor `.pdf`, or its folder does not exist.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            "a figure can only be a PNG or a PDF", where=path, mend="choose a name that ends in .png or .pdf"
        )
    if not path.parent.is_dir():
        raise UsageError("there is no such folder", where=path.parent, mend="create the folder, or name another file")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, or a PDF with vector text, atomically; the same figure gives the same file.

    Raises:
        UsageError: the name has another suffix, or the file cannot be written.
    """
    check_format(path)
    metadata: dict[str, Any] = {"CreationDate": None} if path.suffix.lower() == ".pdf" else {"Software": None}
    try:
        with matplotlib.rc_context(SETTINGS), atomic_write(path) as fresh:
            figure.savefig(fresh, format=path.suffix[1:].lower(), dpi=DPI, metadata=metadata, facecolor="white")
    except OSError as error:
        raise UsageError("the figure cannot be written", where=path, why=error) from error


def as_svg(figure: Figure, title: str, *, salt: str = "") -> str:
    """An `<svg>` element for a page; parts drawn in `INK` get the page's text color.

    Args:
        figure: the figure.
        title: a description for screen readers.
        salt: makes the ids inside the SVG unique on a page.
    """
    out = StringIO()
    with matplotlib.rc_context(SETTINGS | {"svg.hashsalt": f"{salt}{title}"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _inline(out.getvalue(), title)


def _inline(svg: str, title: str) -> str:
    """The `<svg>` element without prolog, metadata and namespaces."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'\s[dxy]="[^"]*"', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match[0]), svg
    )  # hundredths of a point
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"font(-family)?:([^;\"]*?)'?[A-Z][^;\"]*(?=[;\"])", _font, svg)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return svg.replace(INK, "currentColor")


def _font(match: re.Match[str]) -> str:
    """The page's font instead of matplotlib's list of families."""
    if match[1]:
        return "font-family: inherit"
    size = re.search(r"[\d.]+px", match[0])
    return f"font-size: {size[0]}; font-family: inherit" if size else match[0]
