"""One subject, from a seed to integer images: deform, grow, render, then what a scanner adds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import correlate1d

from gantk.data.phantom.anatomy import Anatomy, Atlas, Deformation
from gantk.data.phantom.fields import smooth_field, stream
from gantk.data.phantom.grid import Grid
from gantk.data.phantom.signal import (
    Composition,
    Protocol,
    Tissue,
    compose,
    draw_protocol,
    draw_tissues,
    render,
)
from gantk.data.phantom.tumour import Plan, Tumour, grow_tumour, plan_tumour

__all__ = ["MODALITIES", "Model", "Scan", "brightest", "build_model", "scan"]

MODALITIES = ("t1", "t2", "flair", "t1ce")


@dataclass(frozen=True)
class Model:
    """A subject's head, before it is scanned."""

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
    """What is written: integer images and labels in LPS order, (X, Y, Z), and where they lie.

    Attributes:
        images: int16 by modality, 0 outside the brain and at least 1 inside; the maximum differs between
            subjects, from 200 to 32767.
        labels: uint8, BraTS: 0, 1, 2, 4.
        affine: (4, 4) from voxels to RAS mm.
        facts: what was drawn for this subject, for the manifest (JSON).
    """

    images: dict[str, np.ndarray]
    labels: np.ndarray
    affine: np.ndarray
    facts: dict[str, Any]


def build_model(seed: int, subject: int, spacing: float, atlas: Atlas) -> Model:
    """Subject number `subject` of the cohort `seed` with voxels of `spacing` mm."""
    grid = Grid.over_box(spacing)
    at_rest = Deformation(seed, subject, atlas)
    plan = plan_tumour(at_rest)
    deformation = at_rest.with_mass(plan.centre, plan.push, plan.reach)
    anatomy = deformation.anatomy(grid)
    tumour = grow_tumour(plan, deformation, grid, anatomy)
    tissues = draw_tissues(stream(seed, subject, "tissues"))
    protocol = draw_protocol(stream(seed, subject, "protocol"), tissues["csf"])
    content = compose(anatomy, tumour, tissues, grid, low_grade=plan.low_grade, rng=stream(seed, subject, "texture"))
    return Model(grid, plan, anatomy, tumour, tissues, protocol, content)


def brightest(seed: int, subject: int) -> float:
    """A subject's typical maximum: as in BraTS, patients differ by a factor of a hundred and more."""
    return float(np.exp(stream(seed, subject, "scale").uniform(np.log(220), np.log(36000))))


def scan(seed: int, subject: int, spacing: float, atlas: Atlas) -> Scan:
    """Scan a subject: slice thickness, bias field, Rician noise and an arbitrary scale for each modality."""
    model = build_model(seed, subject, spacing, atlas)
    grid, brain = model.grid, model.anatomy.brain
    rng = stream(seed, subject, "scanner")
    typical = brightest(seed, subject)
    images, facts = {}, {}
    thickness = dict(zip(("t1", "t2", "flair"), model.protocol.thickness, strict=True))
    for name, image in model.images().items():
        signal = _thick(image, brain, thickness.get(name, 0.0) / grid.spacing)
        level = float(np.median(signal))
        bias = np.exp(rng.uniform(0.03, 0.11) * smooth_field(rng, grid, 90.0)[brain])
        sigma = np.float32(level * rng.uniform(0.015, 0.035))
        noise = sigma * rng.standard_normal((2, signal.size), dtype=np.float32)
        received = np.hypot(signal * bias + noise[0], noise[1])
        top = min(32767.0, max(200.0, typical * float(np.exp(rng.normal(0, 0.25)))))
        image = np.zeros(grid.shape, np.int16)
        image[brain] = np.clip(np.rint(received * (top / received.max())), 1, 32767)
        images[name] = _to_lps(image)
        facts[name] = {"maximum": int(image.max()), "noise": float(sigma / level)}
    s = grid.spacing
    x, y, z = grid.axes
    affine = np.diag([-s, -s, s, 1.0])
    affine[:3, 3] = x[-1], y[-1], z[0]
    plan = {**asdict(model.plan), "centre": [round(float(c), 2) for c in model.plan.centre]}
    return Scan(
        images={name: images[name] for name in MODALITIES},
        labels=_to_lps(model.tumour.labels),
        affine=affine,
        facts={"tumour": plan, "protocol": asdict(model.protocol), "images": facts},
    )


def _thick(image: np.ndarray, brain: np.ndarray, voxels: float) -> np.ndarray:
    """A (X, Y, Z) image averaged over slices this many voxels thick, weighted by the brain in them; (V,) float32."""
    reach = max(0.0, (voxels - 1) / 2)
    if not reach:
        return image[brain]
    whole = int(reach)
    arm = [1.0] * whole + ([reach - whole] if reach > whole else [])
    profile = np.array([*arm[::-1], 1.0, *arm], np.float32)
    total, share = (correlate1d(x, profile, axis=2, mode="constant") for x in (image, brain.astype(np.float32)))
    return (total[brain] / share[brain]).astype(np.float32)


def _to_lps(volume: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(volume[::-1, ::-1, :])
