"""Signal equations of the sequences, against a magnet that is simulated step by step."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gantk.phantom.sequences import GradientEcho, InversionRecovery, PreparedGradientEcho, Sequence, SpinEcho
from gantk.phantom.subject import Model

DENSITY, T1, T2 = 0.81, 1400.0, 102.0


def recover(m: float, time: float) -> float:
    return 1 + (m - 1) * math.exp(-time / T1)


def read_spin_echo(m: float) -> tuple[float, float]:
    return m * math.exp(-12 / T2), recover(0.0, 560)  # 90° leaves nothing along the field


def read_inversion_recovery(m: float) -> tuple[float, float]:
    m = recover(-m, 2500)
    return m * math.exp(-120 / T2), recover(0.0, 9000 - 2500)


def read_gradient_echo(m: float) -> tuple[float, float]:
    angle = math.radians(15)
    return m * math.sin(angle) * math.exp(-3 / T2), recover(m * math.cos(angle), 8)


def read_prepared(m: float) -> tuple[float, float]:
    angle, read = math.radians(9), 0.0
    m = recover(-m, 900 - 85 * 7)
    for pulse in range(170):
        if pulse == 85:  # the middle of the train lies at TI
            read = m * math.sin(angle) * math.exp(-3 / T2)
        m = recover(m * math.cos(angle), 7)
    return read, recover(m, 2000 - 900 - 85 * 7)


@pytest.mark.parametrize(
    ("sequence", "repeat"),
    [
        (SpinEcho(560, 12), read_spin_echo),
        (InversionRecovery(9000, 120, 2500), read_inversion_recovery),
        (GradientEcho(8, 3, 15), read_gradient_echo),
        (PreparedGradientEcho(2000, 3, 900, 9), read_prepared),
    ],
)
def test_signal_equations_against_a_magnet(sequence: Sequence, repeat: Callable[[float], tuple[float, float]]) -> None:
    """Pulse a magnetisation until it repeats itself: tip it, let it recover, read it."""
    m = 1.0
    for _ in range(1000):
        read, m = repeat(m)
    assert sequence(DENSITY, T1, T2) == pytest.approx(DENSITY * read)


def test_spin_echo_by_hand() -> None:
    assert SpinEcho(560, 12)(DENSITY, T1, T2) == pytest.approx(0.81 * 0.329680 * 0.889009, rel=1e-4)


def test_inversion_nulls_csf(models: list[Model]) -> None:
    for model in models:
        csf, flair = model.tissues["csf"], model.protocol.flair.sequence
        full = SpinEcho(flair.tr, flair.te)(csf.density, csf.t1, csf.t2)
        assert abs(flair(csf.density, csf.t1, csf.t2)) < 0.05 * abs(full)
