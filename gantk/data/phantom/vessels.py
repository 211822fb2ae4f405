"""Where the atlas' blood and dura lie: what enhances in every patient, as shapes in MNI space."""

from __future__ import annotations

import numpy as np

__all__ = ["dura_sheets", "large_vessels"]

Point = tuple[float, float, float]
"""MNI coordinates, mm; of paired structures those on the right, x > 0."""

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
_BLOBS: tuple[tuple[Point, Point], ...] = (  # centre, half-widths
    ((0, 3, -33), (5, 4, 3.5)),  # pituitary
)
_CHOROID: tuple[tuple[Point, Point], ...] = (
    ((21, -38, 10), (8, 7, 8)),  # trigone
    ((10, -16, 17), (6, 12, 3)),  # body of the lateral ventricle
    ((0, -52, -34), (5, 4, 4)),  # fourth ventricle
)


def large_vessels(points: Points, csf: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Fraction of blood at MNI `points`, given the CSF fraction and the depth below the surface in mm.

    Large vessels at their usual places, pituitary and choroid plexus, which have no barrier; all outside tissue.
    """
    x, y, z = (abs(points[0]), *points[1:])
    vessel = np.exp(-((x / 2.6) ** 2) - ((depth - 1.5) / 3.0) ** 2) * (z > 8)  # superior sagittal sinus
    for radius, course in _TUBES:
        for a, b in zip(course, course[1:], strict=False):
            np.maximum(vessel, _tube((x, y, z), a, b, radius), out=vessel)
    for centre, size in _BLOBS:
        np.maximum(vessel, _blob((x, y, z), centre, size), out=vessel)
    vessel *= 0.25 + 0.75 * np.clip(2 * csf, 0, 1)
    for centre, size in _CHOROID:
        np.maximum(vessel, 0.8 * _blob((x, y, z), centre, size) * (csf > 0.5) * (depth > 12), out=vessel)
    return vessel


def dura_sheets(points: Points, csf: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Fraction of dura inside the head: the falx between the hemispheres, the tentorium above the cerebellum."""
    x, y, z = points
    falx = np.exp(-((x / 1.0) ** 2)) * (z > 6) * (depth < 32)
    slope = z - (4 - 0.45 * abs(x) - 0.25 * abs(y + 55))
    tentorium = np.exp(-((slope / 1.2) ** 2)) * (y < -42) * (depth < 30) * (abs(x) > 2)
    return np.maximum(falx, tentorium) * np.clip(2 * csf, 0, 1)


def _tube(points: Points, a: Point, b: Point, radius: float) -> np.ndarray:
    along = [q - p for p, q in zip(a, b, strict=True)]
    length = sum(d * d for d in along)
    dot = sum((p - o) * d for p, o, d in zip(points, a, along, strict=True))
    t = np.clip(dot / length, 0, 1)
    square = sum((p - o - t * d) ** 2 for p, o, d in zip(points, a, along, strict=True))
    return np.asarray(np.exp(-square / radius**2))


def _blob(points: Points, centre: Point, size: Point) -> np.ndarray:
    return np.asarray(np.exp(-sum(((p - c) / s) ** 2 for p, c, s in zip(points, centre, size, strict=True))))
