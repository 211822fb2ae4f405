"""Where in a TOML file a key stands, for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*")(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=""")


def locate(path: Path, place: Sequence[str]) -> int | None:
    """The line (from 1) of the key at `place`, or of the nearest table around it; None where none is found."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    table: list[str] = []
    best, best_depth = None, 0
    for number, line in enumerate(lines, 1):
        if header := _HEADER.match(line):
            table = _parts(header.group(1))
            here = table
        elif key := _KEY.match(line):
            here = table + _parts(key.group(1))
        else:
            continue
        if len(here) > best_depth and list(place[: len(here)]) == here:
            best, best_depth = number, len(here)
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
