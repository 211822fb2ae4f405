"""Protocols: which sequences a patient has."""

from __future__ import annotations

import numpy as np

from gantk.phantom.fields import stream
from gantk.phantom.protocol import draw_protocol
from gantk.phantom.sequences import GradientEcho, PreparedGradientEcho, SpinEcho
from phantoms import SEED


def test_most_patients_have_one_sequence_before_and_after_contrast() -> None:
    protocols = [draw_protocol(stream(SEED, k, "protocol"), 3.0, 4200.0) for k in range(60)]
    same = np.mean([p.t1 == p.t1ce for p in protocols])
    assert 0.5 < same < 0.9
    kinds = {type(p.t1ce.sequence) for p in protocols}
    assert kinds == {SpinEcho, GradientEcho, PreparedGradientEcho}
