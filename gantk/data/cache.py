"""The folder for files that gantk can create again: prepared slices and the phantom cohort."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import platformdirs

from gantk.errors import CacheError

__all__ = ["cache_error", "gantk_cache_dir"]

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def gantk_cache_dir() -> Path:
    """The cache folder: the environment variable GANTK_CACHE, else the platform's cache folder for gantk."""
    chosen = os.environ.get("GANTK_CACHE")
    return Path(chosen or platformdirs.user_cache_dir("gantk")).expanduser().absolute()


def cache_error(error: OSError, folder: Path, *, full: bool = False) -> CacheError:
    """The user's error for an `OSError` while writing to the cache; `full` if the disk is known to be full."""
    mend = "set GANTK_CACHE to a folder that you can write to, on a disk with enough space"
    if full or error.errno in _FULL:
        return CacheError(
            "the cache cannot be written because the disk is full", where=folder, mend=f"free some space, or {mend}"
        )
    return CacheError("the cache cannot be written", where=folder, why=error, mend=mend)
