"""Effects of scanner and preparation on an image: slices, misregistration, gain, ghosts, noise, scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d

from gantk.phantom.anatomy import Anatomy
from gantk.phantom.fields import smooth_field
from gantk.phantom.grid import Grid
from gantk.phantom.protocol import Acquisition

__all__ = ["Coil", "Defects", "acquire", "draw_coil", "draw_defects"]

# Values without a named source are estimated on 16 BraTS 2021 patients.
COIL_BIAS = 0.03, 0.18
"""Range of the standard deviation of the receive coil's log gain: 10 to 20 % is usual (Sled et al. 1998)."""
COIL_SURFACE = 0.10
"""Mean log gain of a surface coil at the surface, exponentially distributed: most examinations correct for it."""
COIL_MM = 18.0
"""Depth over which a surface coil's gain falls to 1/e."""
OWN_BIAS = 0.09, 0.21
"""Range of the standard deviation of an individual image's log gain."""
BIAS_MM = 80.0
"""Scale of these gain fields, mm."""
SHIFT_MM = 0.5
"""Standard deviation of the misregistration along each axis, at most 1 mm."""
GHOSTED = 0.15
"""Share of images with motion ghosts."""
GHOST = 0.02, 0.07
"""Range of the ghosts' amplitude relative to the image."""
NOISE = 0.018, 0.6
"""Median of the noise relative to the image's median, and standard deviation of its logarithm."""

RIM_LEVEL = np.float32(0.004)
"""Signal that smoothing leaves in the rim outside the brain, relative to the image's median."""


@dataclass(frozen=True)
class Coil:
    """The receive coil, the same for all images of an examination.

    Attributes:
        bias: standard deviation of its log gain over the head.
        surface: log gain at the surface relative to the center of the head.
    """

    bias: float
    surface: float

    def log_gain(self, anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """The log gain at the brain's voxels, (V,) float32."""
        brain = anatomy.brain
        smooth = np.float32(self.bias) * smooth_field(rng, grid, BIAS_MM)[brain]
        return smooth + np.float32(self.surface) * np.exp(-anatomy.depth[brain] / np.float32(COIL_MM))


def draw_coil(rng: np.random.Generator) -> Coil:
    """Draw one examination's coil."""
    return Coil(bias=float(rng.uniform(*COIL_BIAS)), surface=float(rng.exponential(COIL_SURFACE)))


@dataclass(frozen=True)
class Defects:
    """The defects of one image.

    Attributes:
        shift: (3,) misregistration, mm.
        bias: standard deviation over the head of this image's own log gain, from the transmit field and from
            brightness corrections that differ between sequences.
        ghost: amplitude, relative to the image, of a copy shifted by a third of the head due to motion.
        noise: standard deviation of the Rician noise, relative to the image's median.
    """

    shift: tuple[float, float, float]
    bias: float
    ghost: float
    noise: float


def draw_defects(rng: np.random.Generator) -> Defects:
    """Draw one image's defects."""
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
    """The received image, (X, Y, Z) float32: 0 outside brain and rim.

    Args:
        image: the noise-free image, 0 outside the brain.
        log_gain: log gain of the coil at the brain's voxels, (V,).
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
    """Average the brain's voxels over boxes of `widths` voxels, shifted by `shifts` voxels; (V,) float32.

    Voxels outside the brain do not contribute; a voxel whose box lies entirely outside keeps its value.
    """
    total, share = image, brain.astype(np.float32)
    for axis, (width, shift) in enumerate(zip(widths, shifts, strict=True)):
        profile = box(width, shift)
        total, share = (correlate1d(x, profile, axis=axis, mode="constant") for x in (total, share))
    total, share = total[brain], share[brain]
    return np.where(share > 1e-3, total / np.maximum(share, 1e-3), image[brain]).astype(np.float32)


def box(width: float, shift: float) -> np.ndarray:
    """Weights of the voxels that a box covers, an odd number about the center: (N,) float32, sum 1."""
    reach = int(np.ceil(width / 2 + abs(shift)))
    edges = np.arange(-reach, reach + 2) - 0.5
    covered = np.clip(edges, shift - width / 2, shift + width / 2)
    return (np.diff(covered) / width).astype(np.float32)
