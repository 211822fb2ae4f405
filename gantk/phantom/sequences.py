"""Pulse sequences: one class per sequence, with its timing, that computes a signal from relaxation times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = ["GradientEcho", "InversionRecovery", "PreparedGradientEcho", "Sequence", "SpinEcho", "Values"]

Values = np.ndarray | float


class Sequence(Protocol):
    """Computes the signed signal for a proton density (1 = water) and relaxation times in ms."""

    def __call__(self, density: Values, t1: Values, t2: Values) -> Values: ...


@dataclass(frozen=True)
class SpinEcho:
    """S = PD (1 − e^(−TR/T1)) e^(−TE/T2); times in ms."""

    tr: float
    te: float

    def __call__(self, density: Values, t1: Values, t2: Values) -> Values:
        return density * (1 - np.exp(-self.tr / t1)) * np.exp(-self.te / t2)


@dataclass(frozen=True)
class InversionRecovery:
    """Spin echo after an inversion: S = PD (1 − 2 e^(−TI/T1) + e^(−TR/T1)) e^(−TE/T2); times in ms, TE ≪ TR."""

    tr: float
    te: float
    ti: float

    def __call__(self, density: Values, t1: Values, t2: Values) -> Values:
        return density * (1 - 2 * np.exp(-self.ti / t1) + np.exp(-self.tr / t1)) * np.exp(-self.te / t2)


@dataclass(frozen=True)
class GradientEcho:
    """Spoiled gradient echo in its steady state (Ernst & Anderson 1966); times in ms, flip angle in degrees.

    S = PD sin α (1 − E) / (1 − E cos α) e^(−TE/T2) with E = e^(−TR/T1).
    """

    tr: float
    te: float
    flip: float

    def __call__(self, density: Values, t1: Values, t2: Values) -> Values:
        e, angle = np.exp(-self.tr / t1), np.radians(self.flip)
        return density * np.sin(angle) * (1 - e) / (1 - e * np.cos(angle)) * np.exp(-self.te / t2)


@dataclass(frozen=True)
class PreparedGradientEcho:
    """Inversion-prepared 3D gradient echo (MPRAGE; Mugler & Brookeman 1990) in its steady state.

    Each repetition inverts, waits, applies a train of `echoes` small flips centered at TI, and recovers.

    Attributes:
        tr: time between inversions, ms.
        te, ti: echo and inversion time, ms.
        flip: flip angle of each small pulse, degrees.
        spacing: time between small pulses, ms.
        echoes: number of small pulses in a train.
    """

    tr: float
    te: float
    ti: float
    flip: float
    spacing: float = 7.0
    echoes: int = 170

    def __call__(self, density: Values, t1: Values, t2: Values) -> Values:
        half, angle = self.echoes * self.spacing / 2, np.radians(self.flip)
        wait = np.exp(-(self.ti - half) / t1)
        recovery = np.exp(-(self.tr - self.ti - half) / t1)
        pulse = np.exp(-self.spacing / t1)
        kept = pulse * np.cos(angle)  # fraction of the magnetization that one small pulse keeps
        driven = (1 - pulse) / (1 - kept)  # the limit of many small pulses
        half_train, train = kept ** (self.echoes / 2), kept**self.echoes

        # z before inversion: z = 1 − recovery (1 − after), after = driven + train (1 − wait (1 + z) − driven)
        start = 1 - recovery + recovery * (driven + train * (1 - wait - driven))
        z = start / (1 + recovery * train * wait)
        middle = driven + half_train * (1 - wait * (1 + z) - driven)
        return density * middle * np.sin(angle) * np.exp(-self.te / t2)
