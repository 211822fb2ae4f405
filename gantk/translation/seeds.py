"""Seeds of random sequences by name, so that one does not depend on which others there are."""

from __future__ import annotations

import zlib

__all__ = ["seed_of"]


def seed_of(*names: object) -> int:
    """The seed of the sequence with these names, in [0, 2³²)."""
    return zlib.crc32(":".join(map(str, names)).encode())
