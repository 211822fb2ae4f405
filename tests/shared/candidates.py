"""Slices that samplers weigh."""

from __future__ import annotations

from typing import Any

import numpy as np

from gantk import Candidates


def candidates(count: int, **changes: Any) -> Candidates:
    """A number of slices of one patient, without tumor, with only the facts given here."""
    every = {
        "group": "paired",
        "subjects": ["P1"] * count,
        "patients": ["P1"] * count,
        "slices": np.arange(count),
        "tumor": np.zeros(count, bool),
        "core": np.zeros(count, bool),
        "facts": [{}] * count,
        "hardness": np.full(count, np.nan),
    }
    return Candidates(**every | changes)
