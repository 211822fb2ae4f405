"""One subject, from a seed to integer images: deformation, tumor growth, signal, effects of the scanner."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gantk.phantom.anatomy import Anatomy, Atlas, Deformation
from gantk.phantom.fields import stream
from gantk.phantom.grid import Grid
from gantk.phantom.protocol import FIELDS, Protocol, draw_protocol
from gantk.phantom.scanner import acquire, draw_coil, draw_defects
from gantk.phantom.signal import Composition, Tissue, compose, draw_tissues, render
from gantk.phantom.tumour import Plan, Tumour, grow_tumour, plan_tumour

__all__ = ["MODALITIES", "Model", "Scan", "brightest", "build_model", "scan"]

MODALITIES = ("t1", "t2", "flair", "t1ce")


@dataclass(frozen=True)
class Model:
    """A subject's head before the scan."""

    grid: Grid
    plan: Plan
    anatomy: Anatomy
    tumour: Tumour
    tissues: dict[str, Tissue]
    protocol: Protocol
    content: Composition

    def images(self) -> dict[str, np.ndarray]:
        """Noise-free images, each (X, Y, Z) float32, 0 outside the brain."""
        out = {}
        for name, values in render(self.content, self.tissues, self.protocol).items():
            out[name] = np.zeros(self.grid.shape, np.float32)
            out[name][self.anatomy.brain] = values
        return out


@dataclass(frozen=True)
class Scan:
    """The data to write: integer images and labels in LPS order, (X, Y, Z), and their affine.

    Attributes:
        images: int16 by modality, 0 outside the brain and at least 1 inside; the maximum differs between subjects,
            from 200 to 32767.
        labels: uint8, BraTS: 0, 1, 2, 4.
        affine: (4, 4) from voxels to RAS mm.
        facts: the values drawn for this subject, for the manifest (JSON).
    """

    images: dict[str, np.ndarray]
    labels: np.ndarray
    affine: np.ndarray
    facts: dict[str, Any]


def build_model(seed: int, subject: int, spacing: float, atlas: Atlas) -> Model:
    """Build subject number `subject` of the cohort `seed` with voxels of `spacing` mm."""
    at_rest = Deformation(seed, subject, atlas)
    grid, _ = Grid.over_box(spacing).window(*at_rest.extent())
    plan = plan_tumour(at_rest)
    deformation = at_rest.with_mass(plan.centre, plan.push, plan.reach)
    anatomy = deformation.anatomy(grid)
    tumour = grow_tumour(plan, deformation, grid, anatomy)
    field = float(stream(seed, subject, "field strength").choice(FIELDS))
    tissues = draw_tissues(stream(seed, subject, "tissues"), field)
    protocol = draw_protocol(stream(seed, subject, "protocol"), field, tissues["csf"].t1)
    content = compose(anatomy, tumour, tissues, grid, plan=plan, rng=stream(seed, subject, "texture"))
    return Model(grid, plan, anatomy, tumour, tissues, protocol, content)


def brightest(seed: int, subject: int) -> float:
    """A subject's typical maximum; as in BraTS, patients differ by a factor of a hundred and more."""
    return float(np.exp(stream(seed, subject, "scale").uniform(np.log(220), np.log(36000))))


def scan(seed: int, subject: int, spacing: float, atlas: Atlas) -> Scan:
    """Scan a subject: apply the effects of scanner and preparation, and an arbitrary scale for each image."""
    model = build_model(seed, subject, spacing, atlas)
    grid, anatomy = model.grid, model.anatomy
    whole = Grid.over_box(spacing)
    _, where = whole.window(*grid.corners)
    seen = anatomy.brain | anatomy.rim
    rng = stream(seed, subject, "scanner")
    coil = draw_coil(rng)
    log_gain = coil.log_gain(anatomy, grid, rng)
    typical = brightest(seed, subject)
    images, facts = {}, {}
    for name, image in model.images().items():
        defects = draw_defects(rng)
        received = acquire(image, anatomy, grid, getattr(model.protocol, name), log_gain, defects, rng)
        top = min(32767.0, max(200.0, typical * float(np.exp(rng.normal(0, 0.25)))))
        stored = np.zeros(whole.shape, np.int16)
        stored[where][seen] = np.clip(np.rint(received[seen] * (top / received.max())), 1, 32767)
        images[name] = _to_lps(stored)
        facts[name] = {"maximum": int(stored.max()), **asdict(defects)}
    labels = np.zeros(whole.shape, np.uint8)
    labels[where] = model.tumour.labels
    s = spacing
    x, y, z = whole.axes
    affine = np.diag([-s, -s, s, 1.0])
    affine[:3, 3] = x[-1], y[-1], z[0]
    plan = {**asdict(model.plan), **{k: getattr(model.plan, k).round(2).tolist() for k in ("centre", "lean")}}
    return Scan(
        images={name: images[name] for name in MODALITIES},
        labels=_to_lps(labels),
        affine=affine,
        facts={"tumour": plan, "protocol": asdict(model.protocol), "coil": asdict(coil), "images": facts},
    )


def _to_lps(volume: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(volume[::-1, ::-1, :])
