"""Where in a TOML file a key stands, for error messages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*")(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=""")


def where(path: Path, place: Sequence[str]) -> str:
    """`file:line` of the key at `place`, in the recipe or the nearest parent that has it; as near as can be had."""
    return find(path, place)[0]


def find(path: Path, place: Sequence[str]) -> tuple[str, int]:
    """What `where` says, and how many parts of the place it found."""
    found, depth = str(path), 0
    for file in _with_parents(path):
        line, reached = _locate(file, place)
        if reached > depth:
            found, depth = f"{file}:{line}", reached
    return found, depth


def _with_parents(path: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    while path.resolve() not in seen:
        yield path
        seen.add(path.resolve())
        try:
            parent = tomllib.loads(path.read_text(encoding="utf-8")).get("extends")
        except (OSError, ValueError):
            return
        if not isinstance(parent, str):
            return
        path = path.parent / parent


def _locate(path: Path, place: Sequence[str]) -> tuple[int, int]:
    """The line (from 1) of the key at `place`, or of the nearest table around it, and how many parts of it match."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0, 0
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
        depth = min(len(here), len(place))  # a key inside the place shows where the place is
        if depth > best_depth and list(place[:depth]) == here[:depth]:
            best, best_depth = number, depth
    return best, best_depth


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
