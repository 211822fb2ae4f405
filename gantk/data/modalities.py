"""Names of MR sequences in data sets, and their standardized names in tables."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["MASK", "SEGMENTATION", "canonical", "in_order"]

SEGMENTATION = "seg"
MASK = "mask"
_KNOWN = {
    "t1": ("t1", "t1w", "t1n"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f", "fla"),
    "t1ce": ("t1ce", "t1c", "t1gd", "t1post", "t1wce"),
    SEGMENTATION: ("seg", "segm"),
}
_CANONICAL = {alias: name for name, aliases in _KNOWN.items() for alias in aliases}


def canonical(name: str) -> str:
    """The standardized lower-case name of a sequence, which BraTS releases, BIDS and the Decathlon name differently."""
    return _CANONICAL.get(name.lower(), name.lower())


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names: the usual sequences first, then others by name."""
    known = list(_KNOWN)
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))
