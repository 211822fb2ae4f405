"""The composition of voxels and the resulting images: relaxation times of tissues, mixing, signal of a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gantk.phantom.anatomy import Anatomy
from gantk.phantom.fields import smooth_field
from gantk.phantom.grid import Grid
from gantk.phantom.protocol import Acquisition, Protocol
from gantk.phantom.tumour import Plan, Tumour

__all__ = ["TISSUES", "Composition", "Tissue", "compose", "draw_tissues", "render"]


@dataclass(frozen=True)
class Tissue:
    """Longitudinal and transverse relaxation time, ms, and proton density relative to water."""

    t1: float
    t2: float
    density: float


TISSUES = {  # at 3 T; sources in docs/phantom.md
    "white": Tissue(850, 78, 0.70),
    "grey": Tissue(1400, 102, 0.81),
    "csf": Tissue(4200, 1800, 1.00),
    "oedema": Tissue(1700, 180, 0.86),
    "core": Tissue(2300, 300, 0.93),  # necrosis of a high-grade glioma
    "solid": Tissue(1850, 210, 0.89),  # non-enhancing solid tumor of a low-grade glioma
    "enhancing": Tissue(1350, 140, 0.84),
    "clot": Tissue(600, 120, 0.85),  # methemoglobin of a hemorrhage days to months ago
    "blood": Tissue(1650, 150, 0.85),
    "dura": Tissue(1100, 60, 0.60),
    "fat": Tissue(380, 70, 0.90),  # marrow of the skull and orbital fat
    "bone": Tissue(1000, 2, 0.15),
}
"""Typical values; each subject's values differ by several percent (`draw_tissues`)."""

APART = ("csf", "blood", "dura", "fat", "bone")
"""Compartments that do not exchange water with tissue: their signals are added."""

FIELD_POWER = 0.38
"""T1 of tissue grows with this power of the field strength (Rooney et al. 2007)."""

SPREAD = {"white": (0.05, 0.05), "grey": (0.05, 0.05), "csf": (0.04, 0.04), "blood": (0.04, 0.04)}
"""Standard deviation over patients of the logarithms of T1 and T2, truncated at twice the deviation."""
OTHER_SPREAD = 0.13, 0.28
"""The same for lesions and remains of the skull, whose grades, cells and water differ (T1: set by T1 in the enhancing
tumor; T2: set by how well T1ce in tumors is learned)."""


def draw_tissues(rng: np.random.Generator, field: float) -> dict[str, Tissue]:
    """Draw one subject's tissues at `field` tesla; densities vary by 1 %."""
    tissues = {}
    for name, typical in TISSUES.items():
        spread = np.array(SPREAD.get(name, OTHER_SPREAD))
        t1, t2 = np.exp(rng.normal(0, spread).clip(-2 * spread, 2 * spread))
        scale = 1.0 if name == "csf" else (field / 3.0) ** FIELD_POWER
        density = min(1.0, typical.density * float(np.exp(rng.normal(0, 0.01))))
        tissues[name] = Tissue(typical.t1 * float(t1) * scale, typical.t2 * float(t2), density)
    return tissues


@dataclass(frozen=True)
class Composition:
    """The composition of each brain voxel, all (V,) float32 over the brain's voxels.

    Tissue with mixed relaxation rates, and compartments whose signals are added to the tissue's signal because free
    fluid and tissue do not exchange water.

    Attributes:
        r1, r2: relaxation rates of the tissue, 1/s.
        density: proton density of the tissue.
        uptake: contrast agent in the tissue, relative to a typical enhancing rim; 0 in healthy tissue.
        apart: volume fraction of each compartment of `APART`.
    """

    r1: np.ndarray
    r2: np.ndarray
    density: np.ndarray
    uptake: np.ndarray
    apart: Mapping[str, np.ndarray]


def compose(
    anatomy: Anatomy,
    tumour: Tumour,
    tissues: Mapping[str, Tissue],
    grid: Grid,
    *,
    plan: Plan,
    rng: np.random.Generator,
) -> Composition:
    """Mix the tissues of every brain voxel, with fine texture, and add small vessels in the sulci."""
    brain = anatomy.brain
    lesion = tumour.core + tumour.enhancing + tumour.cavity
    healthy = (1 - lesion - tumour.oedema)[brain]
    fine, spots = smooth_field(rng, grid, 2.5)[brain], smooth_field(rng, grid, 6.0)[brain]
    # leukoaraiosis: aging white matter contains water around the ventricles and in spots
    caps = anatomy.load * anatomy.periventricular[brain] * np.clip(0.8 + 0.5 * spots, 0, 1)
    spotted = anatomy.white[brain] * np.clip(2 * (spots - 3.0 + anatomy.load), 0, 0.8)
    water = np.clip(np.maximum(caps, spotted), 0, 0.9) * healthy
    healthy -= water
    solid = (anatomy.grey + anatomy.white)[brain] + np.float32(1e-3)
    necrosis = (tumour.core - tumour.clot)[brain]
    living = np.float32(0.0 if plan.low_grade else plan.living) * necrosis
    shares = {
        "grey": anatomy.grey[brain] / solid * healthy,
        "white": (1 - anatomy.grey[brain] / solid) * healthy + np.float32(1e-3),  # never nothing
        "oedema": tumour.oedema[brain] + water,
        "solid" if plan.low_grade else "core": necrosis - living,
        "clot": tumour.clot[brain],
        "enhancing": tumour.enhancing[brain] + living,
    }
    r1, r2, density = (np.zeros(len(solid), np.float32) for _ in range(3))
    total = sum(shares.values())
    for name, share in shares.items():
        r1 += share / total * np.float32(1e3 / tissues[name].t1)
        r2 += share / total * np.float32(1e3 / tissues[name].t2)
        density += share / total * np.float32(tissues[name].density)

    # texture: the atlas' myelin, fine structure everywhere, and coarser structure in the lesion, where water varies
    # and therefore R1 and R2 vary together
    texture = 0.6 * fine + 0.8 * spots
    coarse = tumour.character[brain]
    r1 *= np.exp(1.2 * anatomy.myelin[brain] * healthy + 0.035 * texture + 0.09 * coarse * (1 - healthy))
    r2 *= np.exp(0.025 * texture + 0.16 * coarse * (1 - healthy))

    outside = (1 - lesion)[brain]
    vessel = np.clip((anatomy.vessel[brain] + _small_vessels(anatomy, grid, rng)) * outside, 0, 0.9)
    vessel[vessel < 0.02] = 0
    left = 1 - vessel
    apart = {"blood": vessel}
    for name in ("dura", "fat", "bone"):
        apart[name] = anatomy.skull[name][brain] * outside * left
        left = left - apart[name]
    fluid = anatomy.csf[brain] * (1 - lesion - tumour.oedema)[brain].clip(0, 1) + tumour.cavity[brain]
    apart["csf"] = fluid * left
    return Composition(r1, r2, density, tumour.permeability[brain], apart)


def _small_vessels(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Winding vessels in the sulci, where two random fields are both zero, (V,) float32."""
    a, b = (smooth_field(rng, grid, 9.0)[anatomy.brain] for _ in range(2))
    width = 0.24 * max(1.0, grid.spacing / 1.5)
    thread = np.exp(-(a * a + b * b) / np.float32(width**2))
    superficial = np.clip(1.5 - anatomy.depth[anatomy.brain] / 16, 0, 1)
    sulcus = np.clip(4 * anatomy.csf[anatomy.brain] - 0.15, 0, 1)
    return thread * sulcus * superficial


def render(content: Composition, tissues: Mapping[str, Tissue], protocol: Protocol) -> dict[str, np.ndarray]:
    """Compute the noise-free images of a composition: t1, t2, flair, t1ce, each (V,) float32, relative to water.

    In T1ce the contrast agent shortens T1: 1/T1 + agent.tissue · uptake in tissue, and short T1 in blood and dura.
    """
    agent = protocol.agent
    enhanced = {
        **tissues,
        "blood": _with_agent(tissues["blood"], agent.blood),
        "dura": _with_agent(tissues["dura"], agent.dura),
    }
    after = content.r1 + np.float32(agent.tissue) * content.uptake
    return {
        "t1": _image(content, content.r1, tissues, protocol.t1),
        "t2": _image(content, content.r1, tissues, protocol.t2),
        "flair": _image(content, content.r1, tissues, protocol.flair),
        "t1ce": _image(content, after, enhanced, protocol.t1ce),
    }


def _with_agent(tissue: Tissue, gain: float) -> Tissue:
    return Tissue(1e3 / (1e3 / tissue.t1 + gain), tissue.t2, tissue.density)


def _image(content: Composition, r1: np.ndarray, tissues: Mapping[str, Tissue], seen: Acquisition) -> np.ndarray:
    share = 1 - sum(content.apart.values())
    total = np.clip(share, 0, 1) * seen.sequence(content.density, 1e3 / r1, 1e3 / content.r2)
    for name in APART:
        tissue = tissues[name]
        flow = seen.flow if name == "blood" else 1.0
        total += content.apart[name] * np.float32(flow * seen.sequence(tissue.density, tissue.t1, tissue.t2))
    return np.abs(total).astype(np.float32)
