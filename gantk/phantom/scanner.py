"""What scanner and preparation add to an image: slices, misregistration, gain, ghosts, noise, a scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d

from gantk.phantom.anatomy import Anatomy
from gantk.phantom.fields import smooth_field
from gantk.phantom.grid import Grid
from gantk.phantom.protocol import Acquisition

__all__ = ["Coil", "Defects", "acquire", "draw_coil", "draw_defects"]

# Estimated on 16 BraTS 2021 patients where no source is named.
COIL_BIAS = 0.03, 0.18
"""Range of the standard deviation of the receive coil's log gain: 10 to 20 % is usual (Sled et al. 1998)."""
COIL_SURFACE = 0.10
"""Mean log gain of a surface coil at the surface, exponential over examinations: most correct for it."""
COIL_MM = 18.0
"""Depth over which a surface coil's gain falls to 1/e."""
OWN_BIAS = 0.09, 0.21
"""Range of the standard deviation of the log gain that an image has alone."""
BIAS_MM = 80.0
"""Scale of these fields."""
SHIFT_MM = 0.5
"""Standard deviation of the misregistration along each axis, at most 1 mm."""
GHOSTED = 0.15
"""Share of images with motion ghosts."""
GHOST = 0.02, 0.07
"""Range of their amplitude relative to the image."""
NOISE = 0.018, 0.6
"""Median of the noise relative to the image's median, and standard deviation of its logarithm."""

RIM_LEVEL = np.float32(0.004)
"""What smoothing carries into the rim outside the brain, relative to the image's median."""


@dataclass(frozen=True)
class Coil:
    """The receive coil, one for all images of an examination.

    Attributes:
        bias: standard deviation of its log gain over the head.
        surface: log gain at the surface over the head's middle.
    """

    bias: float
    surface: float

    def log_gain(self, anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """(V,) float32 over the brain's voxels."""
        brain = anatomy.brain
        smooth = np.float32(self.bias) * smooth_field(rng, grid, BIAS_MM)[brain]
        return smooth + np.float32(self.surface) * np.exp(-anatomy.depth[brain] / np.float32(COIL_MM))


def draw_coil(rng: np.random.Generator) -> Coil:
    """One examination's coil."""
    return Coil(bias=float(rng.uniform(*COIL_BIAS)), surface=float(rng.exponential(COIL_SURFACE)))


@dataclass(frozen=True)
class Defects:
    """What is wrong with one image.

    Attributes:
        shift: (3,) misregistration, mm.
        bias: standard deviation over the head of the log gain that this image alone has, from the transmit field
            and from corrections of brightness that differ between sequences.
        ghost: amplitude of the copy that motion shifts by a third of the head, relative to the image.
        noise: standard deviation of the Rician noise, relative to the image's median.
    """

    shift: tuple[float, float, float]
    bias: float
    ghost: float
    noise: float


def draw_defects(rng: np.random.Generator) -> Defects:
    """One image's defects."""
    noise, spread = NOISE
    return Defects(
        shift=tuple(rng.normal(0, SHIFT_MM, 3).clip(-1, 1).tolist()),
        bias=float(rng.uniform(*OWN_BIAS)),
        ghost=float(rng.uniform(*GHOST)) if rng.random() < GHOSTED else 0.0,
        noise=float(np.clip(np.exp(rng.normal(np.log(noise), spread)), 0.008, 0.09)),
    )


def acquire(
    image: np.ndarray,
    anatomy: Anatomy,
    grid: Grid,
    how: Acquisition,
    log_gain: np.ndarray,
    defects: Defects,
    rng: np.random.Generator,
) -> np.ndarray:
    """The image as received, (X, Y, Z) float32: 0 outside brain and rim.

    Args:
        image: noise-free, 0 outside the brain.
        log_gain: (V,) of the coil, over the brain's voxels.
    """
    brain = anatomy.brain
    widths = [1.0, 1.0, 1.0]
    widths[how.axis] = max(1.0, how.thickness / grid.spacing)
    signal = average(image, brain, widths, [s / grid.spacing for s in defects.shift])
    level = np.float32(np.median(signal))
    if defects.ghost:
        ghost = np.zeros(grid.shape, np.float32)
        ghost[brain] = signal
        signal = signal + np.float32(defects.ghost) * (np.roll(ghost, grid.shape[1] // 3, axis=1)[brain] - level / 2)
    gain = np.exp(log_gain + np.float32(defects.bias) * smooth_field(rng, grid, BIAS_MM)[brain])
    noise = np.float32(defects.noise) * level * rng.standard_normal((2, signal.size), dtype=np.float32)
    received = np.zeros(grid.shape, np.float32)
    received[brain] = np.hypot(signal * gain + noise[0], noise[1])
    received[anatomy.rim] = level * RIM_LEVEL
    return received


def average(image: np.ndarray, brain: np.ndarray, widths: list[float], shifts: list[float]) -> np.ndarray:
    """The brain's voxels averaged over boxes `widths` voxels wide, `shifts` voxels aside; (V,) float32.

    Outside the brain nothing is averaged in; a voxel whose box lies outside altogether keeps its value.
    """
    total, share = image, brain.astype(np.float32)
    for axis, (width, shift) in enumerate(zip(widths, shifts, strict=True)):
        profile = box(width, shift)
        total, share = (correlate1d(x, profile, axis=axis, mode="constant") for x in (total, share))
    total, share = total[brain], share[brain]
    return np.where(share > 1e-3, total / np.maximum(share, 1e-3), image[brain]).astype(np.float32)


def box(width: float, shift: float) -> np.ndarray:
    """Weights of the voxels, an odd number about the middle, that a box covers: (N,) float32, sum 1."""
    reach = int(np.ceil(width / 2 + abs(shift)))
    edges = np.arange(-reach, reach + 2) - 0.5
    covered = np.clip(edges, shift - width / 2, shift + width / 2)
    return (np.diff(covered) / width).astype(np.float32)
