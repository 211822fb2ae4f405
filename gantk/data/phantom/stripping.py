"""Skull stripping: where a subject's brain was cut, and what of the skull was left on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gantk.data.phantom.fields import smooth_field, stream
from gantk.data.phantom.grid import Grid

__all__ = ["Cut", "draw_cut", "skull"]

OUTERMOST_MM = -4.0
"""No cut lies further outside the brain's surface."""


@dataclass(frozen=True)
class Cut:
    """How a subject's skull was stripped.

    Attributes:
        depth: at which it was cut on average, mm below the surface; negative leaves a part of the skull.
        rough: standard deviation of that depth over the surface, mm.
        dura: thickness of the dura, mm.
        marrow: how much of the skull beyond the dura is marrow and fat, as a level of a standard normal field.
    """

    depth: float
    rough: float
    dura: float
    marrow: float


def draw_cut(rng: np.random.Generator) -> Cut:
    """Strippers err by a millimetre or two, here outwards, there inwards (Isensee et al. 2019)."""
    return Cut(
        depth=float(rng.normal(0.35, 0.9)),
        rough=float(np.exp(rng.normal(np.log(0.9), 0.5))),
        dura=float(rng.uniform(0.6, 1.6)),
        marrow=float(rng.normal(0, 0.7)),
    )


def cut_depth(cut: Cut, seed: int, subject: int, grid: Grid) -> np.ndarray:
    """Depth in mm at which each voxel's part of the surface was cut, (X, Y, Z) float32."""
    rough = smooth_field(stream(seed, subject, "cut"), grid, 16.0)
    return np.maximum(np.float32(cut.depth) + np.float32(cut.rough) * rough, np.float32(OUTERMOST_MM))


def skull(
    cut: Cut, seed: int, subject: int, grid: Grid, depth: np.ndarray, sheets: np.ndarray
) -> dict[str, np.ndarray]:
    """Volume fractions of dura, fat and bone, each (X, Y, Z) float32.

    Args:
        depth: mm below the brain's surface, negative outside.
        sheets: fraction of dura within the brain.
    """
    marrow = smooth_field(stream(seed, subject, "marrow"), grid, 12.0)
    inner = np.float32(0.6)  # the dura's inner face, mm below the atlas' surface
    outer = inner - np.float32(cut.dura)
    step = np.float32(1.0)  # faces blur over about a millimetre
    beyond = np.clip(0.5 + (inner - depth) / step, 0, 1)
    skull_bone = np.clip(0.5 + (outer - depth) / step, 0, 1)
    fat = skull_bone * np.clip(0.5 + 1.5 * (marrow - np.float32(cut.marrow)), 0, 1)
    return {
        "dura": np.maximum(beyond - skull_bone, np.float32(0.8) * sheets * (1 - beyond)),
        "fat": fat,
        "bone": skull_bone - fat,
    }
