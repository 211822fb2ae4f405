"""A glioma: cells and edema that spread along white matter, a core, an enhancing rim, a latent permeability."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy import ndimage

from gantk.labels import CORE, EDEMA, ENHANCING
from gantk.phantom.anatomy import Deformation, Matter
from gantk.phantom.fields import resample, smooth_field, stream
from gantk.phantom.grid import Grid

__all__ = ["Plan", "Tumour", "arrival_time", "grow_tumour", "plan_tumour"]

_SITES = (  # share of gliomas, MNI center of one side in mm (Larjavaara et al. 2007; deep: insula, thalamus)
    (0.40, (27.0, 32.0, 22.0)),  # frontal
    (0.29, (44.0, -22.0, -10.0)),  # temporal
    (0.14, (30.0, -46.0, 36.0)),  # parietal
    (0.03, (24.0, -78.0, 10.0)),  # occipital
    (0.14, (30.0, -6.0, 8.0)),  # deep
)
LOW_GRADE = 0.23
"""Share of low-grade tumors: 76 of the 335 tumors of BraTS 2019."""
RESECTED = 0.12
"""Share with a resection cavity: BraTS is pre-operative except for some sites (Baid et al. 2021); an estimate."""
BLED = 0.25
"""Share with T1-bright blood before contrast; an estimate."""

UPTAKE = 0.5, 0.55
"""Standard deviations of the log contrast uptake: between patients, and within a tumor."""
SEEN = 0.12
"""Share of the variance within a tumor that also shows in the other images."""
RIM_MM = 4.6, 0.5
"""Median over patients of the enhancing rim's mean thickness, mm; standard deviation of its logarithm."""
LIVING = 0.1, 0.9
"""Range of the share of living tumor in a high-grade core: label 1 includes necrosis and non-enhancing tumor
(Bakas et al. 2018); set by how well T1ce in tumors is learned."""

_STRIDE = 8  # steps between two checks of the front's position
_STEP_MM = 2.5  # spacing of the growth's lattice, independent of the image's voxel size
_FRONT_MM = 0.56  # measured distance that a front moves per step in pure white matter


@dataclass(frozen=True)
class Plan:
    """The properties of a tumor that are drawn before it grows.

    Attributes:
        centre: (3,) mm, in the subject's space.
        low_grade: whether the tumor has little or no enhancement and a homogeneous bright core.
        core, oedema: volumes in mm³.
        rim: mean thickness of the enhancing rim, mm.
        enhancing: share of the core that enhances in a low-grade tumor.
        push, reach: mass effect (see `Deformation.with_mass`).
        permeability: the subject's factor on contrast uptake, which no other image shows.
        lean: (3,) asymmetry of the rim: change of its log thickness over a core's radius.
        cavity: share of the core that is a fluid-filled resection cavity.
        clot: share of the core that has bled.
        living: share of a high-grade core that looks like enhancing tumor before contrast and does not enhance.
    """

    centre: np.ndarray
    low_grade: bool
    core: float
    oedema: float
    rim: float
    enhancing: float
    push: float
    reach: float
    permeability: float
    lean: np.ndarray
    cavity: float
    clot: float
    living: float


@dataclass(frozen=True)
class Tumour:
    """A grown tumor on a grid, (X, Y, Z).

    Attributes:
        labels: uint8, BraTS: 0, 1, 2, 4.
        core, oedema, enhancing, cavity: float32 volume fractions; together at most 1.
        clot: float32 volume fraction, at most `core`.
        permeability: float32, uptake of contrast agent relative to a typical enhancing rim; 0 outside the rim.
        character: float32 field that shifts the tumor's relaxation times and, in part, its permeability.
    """

    labels: np.ndarray
    core: np.ndarray
    oedema: np.ndarray
    enhancing: np.ndarray
    cavity: np.ndarray
    clot: np.ndarray
    permeability: np.ndarray
    character: np.ndarray

    def at(self, where: tuple[slice, slice, slice], shape: tuple[int, int, int]) -> Tumour:
        """The same tumor inside a volume of `shape`, 0 around it."""
        out = {}
        for field in fields(self):
            part = getattr(self, field.name)
            out[field.name] = np.zeros(shape, part.dtype)
            out[field.name][where] = part
        return Tumour(**out)


def plan_tumour(deformation: Deformation) -> Plan:
    """Draw site, size and kind; volumes are log-normal, with a median tumor of 6 % of the brain as in real data."""
    seed, subject, atlas = deformation.seed, deformation.subject, deformation.atlas
    rng = stream(seed, subject, "tumour")
    shares = np.array([share for share, _ in _SITES])
    site = np.array(_SITES[rng.choice(len(_SITES), p=shares / shares.sum())][1])
    site[0] *= rng.choice((-1, 1))
    near = Grid.around(site, 26.0, 3.0)
    coordinates, depth = deformation(near)
    white = deformation.sample(atlas.white, coordinates) / 255
    square = sum((p - c) ** 2 for p, c in zip(near.open(), site, strict=True))
    weight = (white**2 * (depth > 9) * np.exp(-square / (2 * 11.0**2))).astype(np.float64).ravel() + 1e-12
    place = np.unravel_index(rng.choice(weight.size, p=weight / weight.sum()), near.shape)
    centre = np.array([a[i] for a, i in zip(near.axes, place, strict=True)], float)

    low_grade = bool(rng.random() < LOW_GRADE)
    core = 1e3 * float(np.clip(np.exp(rng.normal(np.log(55 if low_grade else 40), 0.75)), 2, 130))
    ratio = float(np.clip(np.exp(rng.normal(np.log(0.6 if low_grade else 2.2), 0.5)), 0.25, 5))
    lean = rng.normal(0, 1, 3)
    return Plan(
        centre=centre,
        low_grade=low_grade,
        core=core,
        oedema=min(core * ratio, 150e3),
        rim=float(np.exp(rng.normal(np.log(RIM_MM[0]), RIM_MM[1]))),
        enhancing=float(max(0.0, rng.uniform(-0.25, 0.15))),
        push=float(rng.uniform(0.15, 0.5) * (0.7 if low_grade else 1)),
        reach=1.5 * _radius(core) + 8,
        permeability=float(np.exp(stream(seed, subject, "permeability").normal(0, UPTAKE[0]))),
        lean=lean / np.linalg.norm(lean) * rng.uniform(0, 1.2),
        cavity=float(rng.uniform(0.2, 0.7)) if rng.random() < RESECTED else 0.0,
        clot=float(rng.uniform(0.03, 0.3)) if rng.random() < BLED else 0.0,
        living=float(rng.uniform(*LIVING)),
    )


def _radius(volume: float) -> float:
    return float((3 * volume / (4 * np.pi)) ** (1 / 3))


def arrival_time(source: np.ndarray, diffusivity: np.ndarray, rate: np.ndarray, voxels: float) -> np.ndarray:
    """The time at which a front reaches each voxel: ∂u/∂t = ∇·(D∇u) + ρu(1 − u), explicit, in voxels and steps.

    The Fisher-KPP equation with a diffusivity that differs between tissues is the standard model of glioma
    growth (Swanson, Alvord & Murray 2000).

    Args:
        source: (X, Y, Z) float32 in [0, 1], u at the start.
        diffusivity: (X, Y, Z) float32, at most 1/6; faces have the harmonic mean, so nothing enters voxels with 0.
        rate: (X, Y, Z) float32, ρ.
        voxels: stop when u ≥ 1/2 in this many voxels.

    Returns:
        (X, Y, Z) float32: the fractional step at which u reached 1/2; infinite if it did not.
    """
    u = source.astype(np.float32)
    walls = []
    for axis in range(3):
        a, b = _sides(diffusivity, axis)
        wall = np.zeros_like(u)  # the face between a voxel and the next along the axis
        _sides(wall, axis)[0][...] = 2 * a * b / (a + b + np.float32(1e-9))
        walls.append(wall)
    arrival = np.where(u >= 0.5, np.float32(0), np.float32(np.inf))
    for step in range(260):
        if step % _STRIDE == 0:  # nothing changes beyond the front's foot
            foot = _around(u > 1e-6, _STRIDE)
            inside, time, growth = u[foot], arrival[foot], rate[foot]
            near = [_sides(wall[foot], axis)[0] for axis, wall in enumerate(walls)]
        change = growth * inside
        change *= 1 - inside
        for axis, wall in enumerate(near):
            low, high = _sides(inside, axis)
            flow = wall * (high - low)
            into_low, into_high = _sides(change, axis)
            into_low += flow
            into_high -= flow
        reached = (inside < 0.5) & (inside + change >= 0.5)
        time[reached] = step + (0.5 - inside[reached]) / change[reached]
        inside += change
        if np.count_nonzero(inside >= 0.5) >= voxels:
            break
    return arrival


def _around(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    """The bounding box of the mask, `margin` voxels wider on each side."""
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(max(0, int(hit[0]) - margin), int(hit[-1]) + 1 + margin))
    return tuple(box)


def _sides(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    low = [slice(None)] * 3
    high = [slice(None)] * 3
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return values[tuple(low)], values[tuple(high)]


def grow_tumour(plan: Plan, deformation: Deformation, grid: Grid, anatomy: Matter) -> Tumour:
    """Grow the planned tumor in the deformed brain, on a lattice of 2.5 mm around it, and resample it to `grid`.

    Cells diffuse five times as fast in white matter as in gray matter and do not cross CSF. Edema spreads from the
    core, thirty times as fast in white matter, which produces its finger-like shape.
    """
    rng = stream(deformation.seed, deformation.subject, "growth")
    local = Grid.around(plan.centre, 84.5, _STEP_MM)
    tissue = deformation.tissue(local)
    solid = np.clip(tissue.grey + tissue.white - 0.3, 0, 1) * (tissue.depth > 1.5)
    uneven = np.exp(0.9 * smooth_field(rng, local, 9.0).clip(-2, 1.5) - 0.8)
    square = sum((p - c) ** 2 for p, c in zip(local.open(), plan.centre, strict=True))
    seed = np.asarray(np.exp(-square / 5.0**2), np.float32) * (solid > 0.2)

    voxel = _STEP_MM**3
    speed = 0.16 * solid * uneven
    diffusivity = np.minimum(speed * (0.2 * tissue.grey + tissue.white), 0.16)
    cells = arrival_time(seed, diffusivity, 0.12 * solid * uneven, plan.core / voxel)
    core = np.isfinite(cells)
    speed = 0.16 * solid * np.exp(0.3 * smooth_field(rng, local, 8.0).clip(-2, 2) - 0.3)
    diffusivity = np.minimum(speed * (tissue.grey / 30 + tissue.white), 0.16)
    rate = 0.12 * solid * np.clip(0.06 + tissue.white, 0, 1)
    fluid = arrival_time(core.astype(np.float32), diffusivity, rate, np.count_nonzero(core) + plan.oedema / voxel)
    near, where = grid.window(*local.corners)
    return _composition(plan, deformation, local, _ahead(cells), _ahead(fluid), core, near, anatomy.part(where)).at(
        where, grid.shape
    )


def _ahead(arrival: np.ndarray) -> np.ndarray:
    """The approximate depth of a voxel inside the front, mm, negative outside; smooth enough for interpolation."""
    reached = np.isfinite(arrival)
    outside = (1 - ndimage.distance_transform_edt(~reached)) * _STEP_MM - 0.3
    behind = np.clip((arrival[reached].max() - arrival) * _FRONT_MM, 0, 3 * _STEP_MM) + 0.3
    return np.where(reached, behind, outside).astype(np.float32)


def _composition(
    plan: Plan,
    deformation: Deformation,
    local: Grid,
    cells: np.ndarray,
    fluid: np.ndarray,
    core: np.ndarray,
    grid: Grid,
    anatomy: Matter,
) -> Tumour:
    rng = stream(deformation.seed, deformation.subject, "composition")
    depth = ndimage.distance_transform_edt(core).astype(np.float32) * _STEP_MM
    patches = smooth_field(rng, local, 9.0) + 0.5 * smooth_field(rng, local, 4.5)
    if plan.low_grade:
        # enhancing nodules, if any, inside the core
        rim = 3 * _share_of(np.where(core & (depth > _STEP_MM), patches, -9), core, plan.enhancing)
    else:
        # a rim of uneven thickness around the necrosis, with gaps
        along = sum((p - c) * d for p, c, d in zip(local.open(), plan.centre, plan.lean, strict=True))
        thickness = plan.rim * np.exp(0.65 * patches.clip(-2.5, 2.5) + along / _radius(plan.core)) - 0.8
        rim = (thickness - depth).astype(np.float32)
    # fluid fills the center of the core; blood lies where another field is high
    hollow = _share_of(np.where(core, depth + patches, -9), core, plan.cavity)
    bled = _share_of(np.where(core, smooth_field(rng, local, 8.0) + 0.5 * patches, -9), core, plan.clot)
    cells, fluid, rim, hollow, bled = (resample(v, local, grid, -9.0) for v in (cells, fluid, rim, hollow, bled))

    wobble = smooth_field(rng, grid, 5.0)  # roughens borders at scales below the growth's lattice
    sharp = np.float32(1 / max(grid.spacing, 1.0))
    tissue = (1 - anatomy.csf) * anatomy.brain
    in_core = np.clip(0.5 + (cells + 0.35 * wobble) * sharp, 0, 1) * anatomy.brain
    # the core replaces tissue; edema only soaks it, and hardly soaks gray matter
    in_core *= np.clip(1.6 * tissue + 0.25, 0, 1)
    # edema fades over some millimeters and is uneven
    wet = np.clip(0.5 + (fluid + 0.8 * wobble) / max(grid.spacing, 3.5), 0, 1)
    wet *= np.clip(1.4 * tissue - 0.2, 0, 1) * np.clip(0.1 + 1.4 * anatomy.white, 0, 1)
    wet = np.minimum(wet, 1 - in_core)
    cavity = np.clip(0.5 + hollow * sharp, 0, 1) * in_core
    enhancing = np.clip(0.5 + (rim + 0.3 * wobble) * sharp, 0, 1) * (in_core - cavity)

    character = (0.85 * smooth_field(rng, grid, 7.0) + 0.53 * smooth_field(rng, grid, 3.0)).astype(np.float32)
    wet *= np.clip(0.85 + 0.15 * character, 0.6, 1)
    labels = np.zeros(grid.shape, np.uint8)
    labels[wet > 0.35] = EDEMA
    labels[in_core > 0.5] = CORE
    labels[(in_core > 0.5) & (enhancing > 0.5 * in_core)] = ENHANCING
    enhancing *= in_core > 0.1

    hidden = smooth_field(stream(deformation.seed, deformation.subject, "permeability field"), grid, 7.0)
    mixed = np.float32(SEEN**0.5) * character + np.float32((1 - SEEN) ** 0.5) * hidden
    local_uptake = np.exp(np.float32(UPTAKE[1]) * mixed.clip(-2.5, 2.5))
    necrosis = np.clip(in_core - cavity - enhancing, 0, 1)
    return Tumour(
        labels=labels,
        core=necrosis,
        oedema=wet,
        enhancing=enhancing,
        cavity=cavity,
        clot=np.clip(0.5 + 2 * bled, 0, 1) * necrosis,
        permeability=enhancing * np.maximum(plan.permeability * local_uptake, 0.25).astype(np.float32),
        character=character,
    )


def _share_of(score: np.ndarray, core: np.ndarray, share: float) -> np.ndarray:
    """`score` minus the level that `share` of the core exceeds, float32: positive only in that share."""
    level = np.quantile(score[core], 1 - share) if share > 0 else np.inf
    return np.maximum(score - level, -9).astype(np.float32)
