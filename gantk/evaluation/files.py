"""Writing a file so that a reader sees the old one or the whole new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replace_with"]


@contextmanager
def replace_with(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it takes `path`'s place when the block ends without an error."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
