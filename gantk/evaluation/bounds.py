"""Cache of the segmentation probe's bounds, which are the same for every run on the same test patients."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from gantk.data.cache import gantk_cache_dir
from gantk.files import atomic_write

__all__ = ["Scores", "digest", "keep", "known"]

Scores = Mapping[str, Mapping[str, float]]
"""Values by patient and column."""


def digest(settings: Mapping[str, object], arrays: Sequence[np.ndarray | None], patients: Sequence[str]) -> str:
    """A hash (32 hex digits) of everything that the trained networks and their scores depend on, including torch."""
    told = [torch.__version__, dict(sorted(settings.items())), list(patients)]
    hashed = hashlib.sha256(json.dumps(told).encode())
    for array in arrays:
        hashed.update(b"none" if array is None else repr((array.shape, array.dtype.str)).encode())
        for part in () if array is None else array:  # slice by slice because the arrays are memory-mapped
            hashed.update(part.tobytes())
    return hashed.hexdigest()[:32]


def known(key: str) -> Scores | None:
    """The cached scores of a key; None if there are none or they cannot be read."""
    try:
        found: Scores = json.loads(_path(key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def keep(key: str, scores: Scores) -> None:
    """Cache scores for the next run; a cache that cannot be written only costs time."""
    with suppress(OSError), atomic_write(_path(key)) as temporary:
        temporary.write_text(json.dumps(scores), encoding="utf-8")


def _path(key: str) -> Path:
    return gantk_cache_dir() / "bounds" / f"{key}.json"
