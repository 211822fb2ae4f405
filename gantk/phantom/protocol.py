"""A patient's scan protocol: sequence, slices and flow of each image, drawn from common clinical protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gantk.phantom.sequences import (
    GradientEcho,
    InversionRecovery,
    PreparedGradientEcho,
    Sequence,
    SpinEcho,
)

__all__ = ["FIELDS", "Acquisition", "Agent", "Protocol", "draw_protocol"]

FIELDS = (1.5, 3.0)
"""Field strengths, tesla."""

SAME_SEQUENCE = 0.72
"""Share of patients with one T1 sequence before and after contrast (estimated on 16 BraTS 2021 patients)."""

BEFORE = (0.50, 0.20, 0.30)
AFTER = (0.20, 0.25, 0.55)
"""Shares of 2D spin echo, gradient echo and prepared 3D gradient echo: before contrast, and after it if the sequence
changes. BraTS describes its T1 as 2D scans and most of its T1ce as 3D scans (Menze et al. 2015)."""


@dataclass(frozen=True)
class Acquisition:
    """The acquisition of one image of a patient.

    Attributes:
        sequence: the pulse sequence with its timing.
        thickness: slice thickness, mm.
        axis: the axis across the slices: 0 sagittal, 1 coronal, 2 axial.
        flow: signal of flowing blood relative to blood at rest: spin echo reduces it, inflow in a gradient echo
            increases it.
    """

    sequence: Sequence
    thickness: float
    axis: int
    flow: float


@dataclass(frozen=True)
class Agent:
    """The effect of a gadolinium agent; rates in 1/s.

    Attributes:
        tissue: increase of R1 in a typical enhancing rim.
        blood: increase of R1 in blood, choroid plexus and pituitary.
        dura: increase of R1 in the dura.
    """

    tissue: float
    blood: float
    dura: float


@dataclass(frozen=True)
class Protocol:
    """A patient's examination: field strength in tesla, four images, contrast agent."""

    field: float
    t1: Acquisition
    t2: Acquisition
    flair: Acquisition
    t1ce: Acquisition
    agent: Agent


def draw_protocol(rng: np.random.Generator, field: float, csf_t1: float) -> Protocol:
    """Draw one patient's protocol; FLAIR's inversion time nulls CSF with T1 `csf_t1` ms within 3 %."""
    t1 = _t1_weighted(rng, BEFORE)
    t1ce = t1 if rng.random() < SAME_SEQUENCE else _t1_weighted(rng, AFTER)
    flair_tr = rng.uniform(8000, 10000)
    null = csf_t1 * np.log(2 / (1 + np.exp(-flair_tr / csf_t1)))
    dose = float(np.exp(rng.normal(0, 0.4)))
    return Protocol(
        field=field,
        t1=t1,
        t2=Acquisition(
            SpinEcho(rng.uniform(3000, 6500), rng.uniform(80, 120)), rng.uniform(2, 5), 2, rng.uniform(0.1, 0.4)
        ),
        flair=Acquisition(
            InversionRecovery(flair_tr, rng.uniform(95, 140), null * rng.uniform(0.97, 1.03)),
            rng.uniform(2, 5),
            2,
            rng.uniform(0.1, 0.4),
        ),
        t1ce=t1ce,
        agent=Agent(tissue=0.88, blood=dose * rng.uniform(2, 6), dura=dose * rng.uniform(0.5, 4)),
    )


def _t1_weighted(rng: np.random.Generator, shares: tuple[float, ...]) -> Acquisition:
    kinds: tuple[Callable[[np.random.Generator], Acquisition], ...] = (_spin_echo, _gradient_echo, _prepared)
    return kinds[rng.choice(len(kinds), p=shares)](rng)


def _spin_echo(rng: np.random.Generator) -> Acquisition:
    return Acquisition(SpinEcho(rng.uniform(400, 700), rng.uniform(8, 17)), rng.uniform(3, 6), 2, rng.uniform(0.2, 0.7))


def _gradient_echo(rng: np.random.Generator) -> Acquisition:
    sequence = GradientEcho(rng.uniform(6, 10), rng.uniform(2, 4), rng.uniform(10, 20))
    return Acquisition(sequence, rng.uniform(1, 3), 2, rng.uniform(0.6, 1.1))


def _prepared(rng: np.random.Generator) -> Acquisition:
    sequence = PreparedGradientEcho(
        rng.uniform(1700, 2300), rng.uniform(2, 4), rng.uniform(850, 1100), rng.uniform(8, 15)
    )
    return Acquisition(sequence, rng.uniform(1, 1.5), int(rng.integers(3)), rng.uniform(0.7, 1.2))
