"""Vessels and dura."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gantk.phantom.signal import render
from gantk.phantom.subject import Model


def without_agent(model: Model) -> np.ndarray:
    """T1ce's sequence before the agent."""
    plain = replace(model.content, uptake=np.zeros_like(model.content.uptake))
    protocol = replace(model.protocol, agent=replace(model.protocol.agent, blood=0.0, dura=0.0))
    return render(plain, model.tissues, protocol)["t1ce"]


@pytest.mark.parametrize("name", ["blood", "dura"])
def test_vessels_and_dura_enhance(models: list[Model], name: str) -> None:
    for model in models:
        before, after = without_agent(model), model.images()["t1ce"][model.anatomy.brain]
        there = (model.content.apart[name] > 0.3) & (model.content.uptake == 0)
        assert there.sum() > 10
        assert after[there].mean() > 1.05 * before[there].mean()
