"""Relaxation times of tissues and the signal equations that turn them into T1, T2, FLAIR and T1ce images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gantk.data.phantom.anatomy import Anatomy
from gantk.data.phantom.fields import smooth_field
from gantk.data.phantom.grid import Grid
from gantk.data.phantom.tumour import Tumour

__all__ = [
    "TISSUES",
    "Composition",
    "Protocol",
    "Tissue",
    "compose",
    "draw_protocol",
    "draw_tissues",
    "inversion_recovery",
    "render",
    "spin_echo",
]

Values = np.ndarray | float


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
    "oedema": Tissue(1800, 200, 0.88),
    "core": Tissue(2500, 330, 0.94),  # necrosis of a high-grade glioma
    "solid": Tissue(1850, 210, 0.89),  # non-enhancing solid tumour of a low-grade one
    "enhancing": Tissue(1650, 135, 0.85),
    "blood": Tissue(1650, 150, 0.85),
}
"""Typical values; each subject's differ by some percent (`draw_tissues`)."""


def spin_echo(density: Values, t1: Values, t2: Values, tr: float, te: float) -> Values:
    """S = PD (1 − e^(−TR/T1)) e^(−TE/T2); times in ms."""
    return density * (1 - np.exp(-tr / t1)) * np.exp(-te / t2)


def inversion_recovery(density: Values, t1: Values, t2: Values, tr: float, te: float, ti: float) -> Values:
    """S = PD (1 − 2 e^(−TI/T1) + e^(−TR/T1)) e^(−TE/T2), with its sign; times in ms, TE ≪ TR."""
    return density * (1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / t2)


@dataclass(frozen=True)
class Protocol:
    """How one subject was scanned, times in ms: a usual protocol, as they differ between hospitals.

    Attributes:
        t1_tr, t1_te: of the T1 spin echo.
        t1ce_tr, t1ce_te, t1ce_ti: of T1ce, an inversion-prepared 3D gradient echo.
        t2_tr, t2_te: of the T2 spin echo.
        flair_tr, flair_te, flair_ti: of FLAIR.
        thickness: slice thickness of T1, T2 and FLAIR, mm; T1ce has isotropic voxels.
        relaxivity: R1 gained where the permeability map is 1, 1/s (4.5 /s/mM at about 0.25 mM).
        blood_t1: of blood with contrast agent, ms.
        flow: share of the blood's signal that flow leaves in T1 and T1ce, and in T2 and FLAIR.
    """

    t1_tr: float
    t1_te: float
    t1ce_tr: float
    t1ce_te: float
    t1ce_ti: float
    t2_tr: float
    t2_te: float
    flair_tr: float
    flair_te: float
    flair_ti: float
    relaxivity: float
    blood_t1: float
    flow: tuple[float, float]
    thickness: tuple[float, float, float]


def draw_tissues(rng: np.random.Generator) -> dict[str, Tissue]:
    """One subject's tissues: relaxation times vary by 4 %, those of lesions by 8 %, densities by 1 %."""
    tissues = {}
    for name, typical in TISSUES.items():
        spread = 0.04 if name in ("white", "grey", "csf", "blood") else 0.08
        t1, t2 = np.exp(rng.normal(0, spread, 2).clip(-2 * spread, 2 * spread))
        density = min(1.0, typical.density * float(np.exp(rng.normal(0, 0.01))))
        tissues[name] = Tissue(typical.t1 * float(t1), typical.t2 * float(t2), density)
    return tissues


def draw_protocol(rng: np.random.Generator, csf: Tissue) -> Protocol:
    """One subject's protocol; FLAIR's inversion time nulls the CSF within 3 %."""
    flair_tr = rng.uniform(8000, 10000)
    null = csf.t1 * np.log(2 / (1 + np.exp(-flair_tr / csf.t1)))
    return Protocol(
        t1_tr=rng.uniform(500, 620),
        t1_te=rng.uniform(9, 14),
        t1ce_tr=rng.uniform(1900, 2100),
        t1ce_te=rng.uniform(2.5, 4),
        t1ce_ti=rng.uniform(860, 940),
        t2_tr=rng.uniform(4000, 6000),
        t2_te=rng.uniform(85, 110),
        flair_tr=flair_tr,
        flair_te=rng.uniform(100, 135),
        flair_ti=null * rng.uniform(0.97, 1.03),
        relaxivity=1.15,
        blood_t1=rng.uniform(180, 420),
        flow=(rng.uniform(0.5, 0.9), rng.uniform(0.1, 0.4)),
        thickness=tuple(rng.uniform(2, 5, 3).tolist()),
    )


@dataclass(frozen=True)
class Composition:
    """What each brain voxel holds, all (V,) float32 over the brain's voxels.

    Tissue with its mixed relaxation rates, and two compartments whose signals are added to the tissue's:
    free fluid and tissue do not exchange water.

    Attributes:
        r1, r2: relaxation rates of the tissue, 1/s.
        density: proton density of the tissue.
        uptake: contrast agent in the tissue, relative to a typical enhancing rim; 0 in healthy tissue.
        csf: volume fraction of CSF.
        vessel: volume fraction of blood (vessels, choroid plexus).
    """

    r1: np.ndarray
    r2: np.ndarray
    density: np.ndarray
    uptake: np.ndarray
    csf: np.ndarray
    vessel: np.ndarray


def compose(
    anatomy: Anatomy,
    tumour: Tumour,
    tissues: dict[str, Tissue],
    grid: Grid,
    *,
    low_grade: bool,
    rng: np.random.Generator,
) -> Composition:
    """Mix the tissues of every brain voxel, with fine texture, and thread small vessels through the sulci."""
    brain = anatomy.brain
    lesion = tumour.core + tumour.enhancing
    healthy = (1 - lesion - tumour.oedema)[brain]
    # leukoaraiosis: ageing white matter around the ventricles holds water too, more in some than in others
    caps = np.float32(rng.uniform(0, 0.75) ** 2) * anatomy.periventricular[brain] * healthy
    healthy -= caps
    solid = (anatomy.grey + anatomy.white)[brain] + np.float32(1e-3)
    core = "solid" if low_grade else "core"
    shares = {
        "grey": anatomy.grey[brain] / solid * healthy,
        "white": (1 - anatomy.grey[brain] / solid) * healthy,
        "oedema": tumour.oedema[brain] + caps,
        core: tumour.core[brain],
        "enhancing": tumour.enhancing[brain],
    }
    r1, r2, density = (np.zeros(len(solid), np.float32) for _ in range(3))
    for name, share in shares.items():
        r1 += share * np.float32(1e3 / tissues[name].t1)
        r2 += share * np.float32(1e3 / tissues[name].t2)
        density += share * np.float32(tissues[name].density)

    # texture: the atlas' myelin, fine structure everywhere, a coarser one in the lesion, where it is water
    # that varies, so R1 and R2 together
    fine = 0.6 * smooth_field(rng, grid, 2.5)[brain] + 0.8 * smooth_field(rng, grid, 6.0)[brain]
    coarse = tumour.character[brain]
    r1 *= np.exp(1.2 * anatomy.myelin[brain] * healthy + 0.035 * fine + 0.07 * coarse * (1 - healthy))
    r2 *= np.exp(0.025 * fine + 0.13 * coarse * (1 - healthy))

    uptake = tumour.permeability[brain]
    vessel = (anatomy.vessel * (1 - lesion))[brain] + _small_vessels(anatomy, grid, rng) * (1 - lesion)[brain]
    vessel = np.clip(vessel, 0, 0.85)
    vessel[vessel < 0.02] = 0
    csf = anatomy.csf[brain] * (1 - lesion[brain] - tumour.oedema[brain]).clip(0, 1) * (1 - vessel)
    return Composition(r1, r2, density, uptake, csf.astype(np.float32), vessel.astype(np.float32))


def _small_vessels(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Winding threads in the sulci: where two random fields are both zero. Returns (V,) float32."""
    a, b = (smooth_field(rng, grid, 9.0)[anatomy.brain] for _ in range(2))
    width = 0.24 * max(1.0, grid.spacing / 1.5)
    thread = np.exp(-(a * a + b * b) / np.float32(width**2))
    superficial = np.clip(1.5 - anatomy.depth[anatomy.brain] / 16, 0, 1)
    sulcus = np.clip(4 * anatomy.csf[anatomy.brain] - 0.15, 0, 1)
    return thread * sulcus * superficial


def render(content: Composition, tissues: dict[str, Tissue], protocol: Protocol) -> dict[str, np.ndarray]:
    """The noise-free images of a composition: t1, t2, flair, t1ce, each (V,) float32, relative to water.

    T1ce has the contrast agent's shortening, 1/T1 + relaxivity · uptake in tissue and short T1 in blood, and a sequence
    of its own: BraTS's T1 are 2D scans, its T1ce mostly 3D ones.
    """
    p = protocol

    def t1_weighted(density: Values, t1: Values, t2: Values) -> Values:
        return spin_echo(density, t1, t2, p.t1_tr, p.t1_te)

    def t1ce_weighted(density: Values, t1: Values, t2: Values) -> Values:
        return inversion_recovery(density, t1, t2, p.t1ce_tr, p.t1ce_te, p.t1ce_ti)

    def t2_weighted(density: Values, t1: Values, t2: Values) -> Values:
        return spin_echo(density, t1, t2, p.t2_tr, p.t2_te)

    def flair(density: Values, t1: Values, t2: Values) -> Values:
        return inversion_recovery(density, t1, t2, p.flair_tr, p.flair_te, p.flair_ti)

    def image(
        sequence: Callable[[Values, Values, Values], Values], r1: np.ndarray, blood_t1: float, flow: float
    ) -> np.ndarray:
        csf, blood = tissues["csf"], tissues["blood"]
        tissue = (1 - content.csf - content.vessel).clip(0, 1)
        total = (
            tissue * sequence(content.density, 1e3 / r1, 1e3 / content.r2)
            + content.csf * sequence(csf.density, csf.t1, csf.t2)
            + content.vessel * flow * sequence(blood.density, blood_t1, blood.t2)
        )
        return np.abs(total).astype(np.float32)

    blood = tissues["blood"].t1
    return {
        "t1": image(t1_weighted, content.r1, blood, p.flow[0]),
        "t2": image(t2_weighted, content.r1, blood, p.flow[1]),
        "flair": image(flair, content.r1, blood, p.flow[1]),
        "t1ce": image(t1ce_weighted, content.r1 + np.float32(p.relaxivity) * content.uptake, p.blood_t1, p.flow[0]),
    }
