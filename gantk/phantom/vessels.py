"""The atlas' blood and dura, which enhance in every patient, as shapes in MNI space."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

__all__ = ["dura_sheets", "large_vessels"]

Point = tuple[float, float, float]
"""MNI coordinates, mm; for paired structures, those of the right side, x > 0."""

Points = tuple[np.ndarray, np.ndarray, np.ndarray]

_TUBES: tuple[tuple[float, tuple[Point, ...]], ...] = (  # radius in mm, course
    (1.8, ((0, -38, 2), (0, -62, 10), (0, -88, -4))),  # vein of Galen, straight sinus
    (3.2, ((0, -92, -2), (26, -88, -12), (52, -66, -22), (50, -44, -36))),  # transverse, sigmoid sinus
    (1.0, ((2, 4, 12), (2, -36, 4))),  # internal cerebral vein
    (1.0, ((12, -8, -18), (18, -24, -8), (4, -38, 2))),  # basal vein
    (1.4, ((0, -26, -40), (0, -14, -18))),  # basilar artery
    (1.1, ((0, -14, -18), (12, -22, -12), (24, -40, -4))),  # posterior cerebral artery
    (2.2, ((14, -14, -36), (13, 0, -30), (8, 2, -20))),  # internal carotid artery, cavernous sinus
    (1.2, ((7, 0, -20), (28, 2, -18), (40, -2, -2))),  # middle cerebral artery
    (1.0, ((38, 4, -14), (38, -20, 6), (44, -34, 18))),  # its branches over the insula
    (1.0, ((7, 2, -18), (1, 30, -8), (1, 40, 12), (1, 10, 34))),  # anterior cerebral artery
)
_BLOBS: tuple[tuple[Point, Point], ...] = (  # center, half-widths
    ((0, 3, -33), (5, 4, 3.5)),  # pituitary
)
_CHOROID: tuple[tuple[Point, Point], ...] = (
    ((21, -38, 10), (8, 7, 8)),  # trigone
    ((10, -16, 17), (6, 12, 3)),  # body of the lateral ventricle
    ((0, -52, -34), (5, 4, 4)),  # fourth ventricle
)


def large_vessels(points: Points, csf: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Fraction of blood at MNI `points`, given the CSF fraction and the depth below the surface in mm.

    Includes large vessels at their usual positions, and pituitary and choroid plexus, which have no blood-brain
    barrier; all outside tissue.

    Args:
        points: axes shaped (X, 1, 1), (1, Y, 1), (1, 1, Z), increasing.
    """
    x, _, z = points
    vessel = np.exp(-((x / 2.6) ** 2) - ((depth - 1.5) / 3.0) ** 2) * (z > 8)  # superior sagittal sinus
    for side in (-1, 1):
        for radius, course in _TUBES:
            for a, b in pairwise(course):
                _paint(vessel, points, _mirror(a, side), _mirror(b, side), (radius,) * 3)
        for centre, size in _BLOBS:
            _paint(vessel, points, _mirror(centre, side), _mirror(centre, side), size)
    vessel *= 0.25 + 0.75 * np.clip(2 * csf, 0, 1)
    choroid = np.zeros_like(vessel)
    for side in (-1, 1):
        for centre, size in _CHOROID:
            _paint(choroid, points, _mirror(centre, side), _mirror(centre, side), size)
    return np.maximum(vessel, 0.8 * choroid * (csf > 0.5) * (depth > 12))


def _mirror(point: Point, side: int) -> Point:
    return side * point[0], point[1], point[2]


def _paint(volume: np.ndarray, points: Points, a: Point, b: Point, size: Point) -> None:
    """Draw a tube from `a` to `b` into `volume`, with Gaussian walls of half-width `size` along each axis, mm."""
    near = []
    for axis, ends in zip(points, zip(a, b, size, strict=True), strict=True):
        low, high = min(ends[:2]) - 3 * ends[2], max(ends[:2]) + 3 * ends[2]
        near.append(slice(*np.searchsorted(axis.ravel(), (low, high))))
    parts = [p[tuple(n if p.shape[i] > 1 else slice(None) for i, n in enumerate(near))] for p in points]
    along = [q - p for p, q in zip(a, b, strict=True)]
    length = sum(d * d for d in along) or 1.0
    t = np.clip(sum((p - o) * d for p, o, d in zip(parts, a, along, strict=True)) / length, 0, 1)
    square = sum(((p - o - t * d) / s) ** 2 for p, o, d, s in zip(parts, a, along, size, strict=True))
    part = volume[tuple(near)]
    np.maximum(part, np.exp(-square), out=part)


def dura_sheets(points: Points, csf: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Fraction of dura inside the head: the falx between the hemispheres and the tentorium above the cerebellum."""
    x, y, z = points
    falx = np.exp(-((x / 1.0) ** 2)) * (z > 6) * (depth < 32)
    slope = z - (4 - 0.45 * abs(x) - 0.25 * abs(y + 55))
    tentorium = np.exp(-((slope / 1.2) ** 2)) * (y < -42) * (depth < 30) * (abs(x) > 2)
    return np.maximum(falx, tentorium) * np.clip(2 * csf, 0, 1)
