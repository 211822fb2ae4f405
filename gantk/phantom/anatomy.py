"""The ICBM 152 atlas and one subject's brain, a random smooth deformation of the atlas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from gantk.phantom.fields import smooth_field, stream
from gantk.phantom.grid import Grid
from gantk.phantom.stripping import OUTERMOST_MM, cut_depth, draw_cut, skull
from gantk.phantom.vessels import dura_sheets, large_vessels

__all__ = ["Anatomy", "Atlas", "Deformation", "load_atlas"]

_DEPTH_UNIT = 0.25  # mm per gray level of the depth map
_DEPTH_OUTSIDE = 8.0  # mm outside the surface that the map covers: -8 to 55.75 mm in a byte

HEAD_SIZE = 0.91
"""Length of a brain relative to the template, which is larger than real brains (Lancaster et al. 2007)."""

AGE = 57.0, 14.0
"""Mean and standard deviation of the age, years: glioma of all grades (Ostrom et al. 2018)."""

SHAPE = ((2.8, 45.0), (1.6, 16.0))
"""Amplitude and scale of the random displacements, mm."""

SULCI = 0.6
"""Standard deviation of the log odds by which a brain's sulci are wider or narrower than the template's, before the
odds are squared."""


@dataclass(frozen=True)
class Atlas:
    """The maps of the ICBM 152 template that all subjects share, (X, Y, Z) uint8, RAS, 1 mm.

    Attributes:
        grey, white: tissue probability, 255 = 1.
        depth: distance below the brain's surface in quarters of a millimetre, from 8 mm outside it.
        myelin: deviation of the T1 template from its three tissues (deep nuclei, tracts), 128 = none.
        vessel: large vessels, pituitary and choroid plexus, 255 = vessel.
        dura: falx and tentorium, 255 = dura.
        periventricular: white matter that borders on the ventricles, 255 = next to them.
        origin: MNI coordinate of voxel (0, 0, 0), mm.
    """

    grey: np.ndarray
    white: np.ndarray
    depth: np.ndarray
    myelin: np.ndarray
    vessel: np.ndarray
    dura: np.ndarray
    periventricular: np.ndarray
    origin: tuple[float, float, float]


@dataclass(frozen=True)
class Matter:
    """One subject's healthy tissue on a grid; (X, Y, Z), fractions float32 in [0, 1].

    Attributes:
        grey, white, csf: volume fractions, summing to 1 inside the brain and 0 outside.
        brain: bool.
        depth: mm below the brain's surface, negative outside.
    """

    grey: np.ndarray
    white: np.ndarray
    csf: np.ndarray
    brain: np.ndarray
    depth: np.ndarray

    def part(self, where: tuple[slice, slice, slice]) -> Matter:
        """The same tissue restricted to a box."""
        return Matter(self.grey[where], self.white[where], self.csf[where], self.brain[where], self.depth[where])


@dataclass(frozen=True)
class Anatomy(Matter):
    """One subject's healthy head; (X, Y, Z) float32.

    Attributes:
        rim: bool, voxels outside the brain that are not exactly 0 (see `_rim`).
        myelin: relative deviation of R1 from the tissue's own, about [-0.3, 0.3].
        vessel: fraction of large vessels and choroid plexus, from the atlas.
        periventricular: closeness to the ventricles, in white matter.
        skull: fractions of dura, fat and bone left by stripping.
        load: amount of white matter hyperintensities, about [0, 1].
    """

    rim: np.ndarray
    myelin: np.ndarray
    vessel: np.ndarray
    periventricular: np.ndarray
    skull: dict[str, np.ndarray]
    load: float


@cache
def load_atlas() -> Atlas:
    """Load the maps that nilearn includes in its package (Fonov et al. 2009, symmetric); prepared once."""
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    template = load_mni152_template(resolution=1)
    full = np.asarray(template.dataobj, np.float32)
    head = ndimage.find_objects((full > 0).astype(np.uint8))[0]
    box = tuple(slice(max(0, s.start - 8), s.stop + 8) for s in head)
    origin = template.affine[:3, 3] + [s.start for s in box]
    t1 = full[box]
    grey = np.asarray(load_mni152_gm_template(resolution=1).dataobj, np.float32)[box]
    white = np.asarray(load_mni152_wm_template(resolution=1).dataobj, np.float32)[box]

    # the template's mask leaves cisterns and deep sulci open: close them, as skull stripping does, and keep
    # a rim of CSF
    inside = (t1 > 0).astype(np.float32)
    inside = np.maximum(inside, ndimage.gaussian_filter(inside, 6.0, truncate=2) > 0.5)
    brain = ndimage.gaussian_filter(inside, 1.5, truncate=2) > 0.42
    brain = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(brain, 2, 0)], axis=2)  # the sella
    depth = (ndimage.distance_transform_edt(brain) - ndimage.distance_transform_edt(~brain)).astype(np.float32)

    csf = np.clip(1 - grey - white, 0, 1)
    some = np.flatnonzero(inside)[::16]
    tissues = np.stack([m.ravel()[some] for m in (grey, white, csf)], axis=1)
    mean, *_ = np.linalg.lstsq(tissues, t1.ravel()[some], rcond=None)
    myelin = (t1 - mean[0] * grey - mean[1] * white - mean[2] * csf) * (t1 > 0) * (1 - csf)

    ventricles = (csf > 0.5) & (depth > 18)
    nearby = ndimage.gaussian_filter(ventricles.astype(np.float32), 2.5, truncate=2)
    periventricular = np.clip(3 * nearby, 0, 1) * white

    x, y, z = (np.float32(o) + np.arange(n, dtype=np.float32) for o, n in zip(origin, t1.shape, strict=True))
    points = x[:, None, None], y[None, :, None], z[None, None, :]
    return Atlas(
        grey=_byte(grey * 255),
        white=_byte(white * 255),
        depth=_byte((depth + _DEPTH_OUTSIDE) / _DEPTH_UNIT),
        myelin=_byte(128 + 255 * myelin),
        vessel=_byte(255 * large_vessels(points, csf, depth)),
        dura=_byte(255 * dura_sheets(points, csf, depth)),
        periventricular=_byte(255 * periventricular),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
    )


def _byte(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


class Deformation:
    """A subject's random map from its own space to the atlas: size, pose, gyri, ventricles, mass effect.

    Args:
        seed, subject: seed of the cohort and number of the subject.
        atlas: the atlas to deform.
    """

    def __init__(self, seed: int, subject: int, atlas: Atlas) -> None:
        self.seed, self.subject, self.atlas = seed, subject, atlas
        rng = stream(seed, subject, "pose")
        self.size = 1 / (HEAD_SIZE * rng.normal(1.0, 0.035, 3).clip(0.92, 1.08))
        self.pose = _rotation(rng.normal(0, np.radians(2.5), 3).clip(-0.1, 0.1))
        self.shift = rng.normal(0, 1.5, 3)
        self.age = float(np.clip(rng.normal(*AGE), 20, 88))
        ageing = (self.age - 20) / 65  # 0 young to 1 old
        self.ventricles = 0.55 * ageing - 0.12 + rng.normal(0, 0.10) + rng.normal(0, 0.06, 2)  # left and right
        self.atrophy = float(np.clip(1.0 + 1.1 * ageing + rng.normal(0, 0.25), 0.7, 2.5))  # prior odds of CSF
        self.load = float(0.8 * ageing**2 * np.exp(rng.normal(0, 0.6)))  # white matter hyperintensities
        self.cut = draw_cut(rng)
        self.centre: np.ndarray | None = None
        self.push = self.reach = 0.0

    def with_mass(self, centre: np.ndarray, push: float, reach: float) -> Deformation:
        """A copy with tissue pushed away from `centre` (3,) mm.

        Lengths at the center grow by 1/(1 - push); the effect fades over `reach` mm and towards the skull.
        """
        other = Deformation(self.seed, self.subject, self.atlas)
        other.centre, other.push, other.reach = np.asarray(centre, float), push, reach
        return other

    def __call__(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """The atlas voxel coordinates (3, X, Y, Z) float32 of a subject's voxels, and their depth (X, Y, Z) in mm."""
        rng = stream(self.seed, self.subject, "shape")
        shape = np.zeros((3, *grid.shape), np.float32)
        for axis in range(3):
            for amplitude, scale in SHAPE:
                shape[axis] += np.float32(amplitude) * smooth_field(rng, grid, scale)
        points = [np.broadcast_to(p, grid.shape) for p in grid.open()]
        coordinates = self._to_atlas(points, shape)
        depth = self.sample(self.atlas.depth, coordinates) * np.float32(_DEPTH_UNIT) - np.float32(_DEPTH_OUTSIDE)
        if self.centre is not None:
            away = [p - np.float32(c) for p, c in zip(points, self.centre, strict=True)]
            square = away[0] ** 2 + away[1] ** 2 + away[2] ** 2
            pull = self.push * np.exp(-square / np.float32(self.reach**2)) * np.clip(depth / 14, 0, 1)
            coordinates = self._to_atlas([p - pull * a for p, a in zip(points, away, strict=True)], shape)
        return coordinates, depth

    def _to_atlas(self, points: list[np.ndarray], shape: np.ndarray) -> np.ndarray:
        matrix = (np.diag(self.size) @ self.pose).astype(np.float32)
        out = shape.copy()
        for axis in range(3):
            out[axis] += np.float32(self.shift[axis])
            for column in range(3):
                out[axis] += matrix[axis, column] * points[column]
        for side, widening in zip((-1, 1), self.ventricles, strict=True):
            away = [out[a] - np.float32(c) for a, c in enumerate((15.0 * side, -14.0, 16.0))]
            square = away[0] ** 2 + (away[1] / 2) ** 2 + away[2] ** 2
            pull = np.float32(widening) * np.exp(-square / np.float32(17.0**2))
            for axis in range(3):
                out[axis] -= pull * away[axis]
        for axis in range(3):
            out[axis] -= np.float32(self.atlas.origin[axis])
        return out

    def sample(self, volume: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
        """Sample an atlas map at atlas voxel coordinates, trilinear, 0 outside: float32 on the coordinates' grid."""
        return ndimage.map_coordinates(volume, coordinates, order=1, cval=0, output=np.float32)

    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Two corners (3,) mm of a box that contains the brain, its rim and any remains of the skull."""
        coarse = Grid.over_box(6.0)
        _, depth = self(coarse)
        where = np.nonzero(depth > OUTERMOST_MM - 2)
        found = [axis[index] for axis, index in zip(coarse.axes, where, strict=True)]
        return np.array([f.min() for f in found]) - 8, np.array([f.max() for f in found]) + 8

    def tissue(self, grid: Grid) -> Matter:
        """This subject's gray and white matter and CSF on a grid."""
        return self._tissue(grid, *self(grid))

    def anatomy(self, grid: Grid) -> Anatomy:
        """This subject's head on a grid."""
        coordinates, depth = self(grid)
        tissue = self._tissue(grid, coordinates, depth)
        brain = tissue.brain
        inside = coordinates[:, brain]
        atlas = self.atlas
        myelin, vessel, dura, periventricular = (
            _back(self.sample(m, inside) / np.float32(255), brain)
            for m in (atlas.myelin, atlas.vessel, atlas.dura, atlas.periventricular)
        )
        return Anatomy(
            **vars(tissue),
            rim=_rim(brain, grid.spacing),
            myelin=(myelin - np.float32(128 / 255)) * brain,
            vessel=vessel,
            periventricular=periventricular,
            skull=skull(self.cut, self.seed, self.subject, grid, depth, dura),
            load=self.load,
        )

    def _tissue(self, grid: Grid, coordinates: np.ndarray, depth: np.ndarray) -> Matter:
        brain = depth > cut_depth(self.cut, self.seed, self.subject, grid)
        inside = coordinates[:, brain]
        grey, white = (self.sample(m, inside) / np.float32(255) for m in (self.atlas.grey, self.atlas.white))
        # the atlas averages 152 brains: squaring the odds restores one brain's sharper borders, and a random field
        # opens some sulci and closes others
        own = np.exp(SULCI * smooth_field(stream(self.seed, self.subject, "sulci"), grid, 8.0)[brain])
        csf = np.float32(self.atrophy) * own * np.clip(1 - grey - white, 0, 1)
        odds = [p * p for p in (grey, white, csf)]
        total = odds[0] + odds[1] + odds[2] + np.float32(1e-6)
        g, w = odds[0] / total, odds[1] / total
        return Matter(_back(g, brain), _back(w, brain), _back(np.clip(1 - g - w, 0, 1), brain), brain, depth)


def _rim(brain: np.ndarray, spacing: float) -> np.ndarray:
    """Voxels outside the brain that received some of its signal by smoothing.

    Images are stripped at about 1 mm. Smoothing before downsampling to a coarser grid leaves a layer of one voxel
    around the brain that is not exactly 0.
    """
    if spacing <= 1:
        return np.zeros_like(brain)
    return ndimage.binary_dilation(brain, np.ones((3, 3, 3), bool)) & ~brain


def _back(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    out = np.zeros(brain.shape, np.float32)
    out[brain] = values
    return out


def _rotation(angles: np.ndarray) -> np.ndarray:
    out = np.eye(3)
    for (i, j), angle in zip(((0, 1), (1, 2), (0, 2)), angles, strict=True):
        turn = np.eye(3)
        turn[[i, j], [i, j]] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        out = out @ turn
    return out
