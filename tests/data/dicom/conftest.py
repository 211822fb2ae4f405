"""A small volume that scanners store."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 900, (8, 7, 6)).astype(np.uint16)
