"""Skull stripping: the position of the cut around a subject's brain, and the remains of the skull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gantk.phantom.fields import smooth_field, stream
from gantk.phantom.grid import Grid

__all__ = ["Cut", "draw_cut", "skull"]

DEPTH_MM = 0.35, 0.9
"""Mean and standard deviation over patients of the depth of the cut, mm below the atlas' surface. Stripping tools are
off by one to several millimeters (Isensee et al. 2019); these values give the real 99th percentile of T1ce."""
ROUGH = 0.9, 0.5
"""Median over patients of the cut's standard deviation over the surface, mm; standard deviation of its logarithm."""
DURA_MM = 0.6, 1.6
"""Range of the dura's thickness, mm, including the vessels in it."""

OUTERMOST_MM = -4.0
"""The outermost position of a cut, mm below the brain's surface (negative: outside)."""


@dataclass(frozen=True)
class Cut:
    """The skull stripping of one subject.

    Attributes:
        depth: mean depth of the cut, mm below the surface; a negative depth leaves a part of the skull.
        rough: standard deviation of the depth over the surface, mm.
        dura: thickness of the dura, mm.
        marrow: amount of marrow and fat in the skull beyond the dura, as a level of a standard normal field.
    """

    depth: float
    rough: float
    dura: float
    marrow: float


def draw_cut(rng: np.random.Generator) -> Cut:
    """Draw one patient's cut."""
    median, spread = ROUGH
    return Cut(
        depth=float(rng.normal(*DEPTH_MM)),
        rough=float(np.exp(rng.normal(np.log(median), spread))),
        dura=float(rng.uniform(*DURA_MM)),
        marrow=float(rng.normal(0, 0.7)),
    )


def cut_depth(cut: Cut, seed: int, subject: int, grid: Grid) -> np.ndarray:
    """The depth of the cut at each voxel's part of the surface, mm, (X, Y, Z) float32."""
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
