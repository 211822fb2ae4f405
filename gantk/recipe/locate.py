"""The line of a TOML file on which a key stands, for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gantk.errors import RecipeError
from gantk.recipe.toml import read_text

__all__ = ["at"]

_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def at(path: Path, place: Sequence[str]) -> str:
    """`file:line` of the key at `place`, or of the nearest table around it; the file alone where it has neither."""
    line = _line(path, place)
    return f"{path}:{line}" if line else str(path)


def _line(path: Path, place: Sequence[str]) -> int:
    """The line, from 1; 0 where there is none."""
    try:
        lines = read_text(path).split("\n")
    except RecipeError:
        return 0
    wanted = _parts(".".join(place))
    table: list[str] = []
    best, best_depth = 0, 0
    for number, line in enumerate(lines, 1):
        if header := _HEADER.match(line):
            table = _parts(header.group(1))
            here = table
        elif key := _KEY.match(line):
            here = table + _parts(key.group(1))
        else:
            continue
        depth = min(len(here), len(wanted))  # a key inside the place shows where the place is
        if depth > best_depth and wanted[:depth] == here[:depth]:
            best, best_depth = number, depth
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
