"""Patients of the phantom, and views of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gantk.phantom.grid import Grid
from gantk.phantom.signal import render
from gantk.phantom.subject import Model

SPACING = 4.0
SEED = 3


def high_grade(models: list[Model]) -> list[Model]:
    return [m for m in models if not m.plan.low_grade]


def whole(model: Model, volume: np.ndarray) -> np.ndarray:
    """A model's (X, Y, Z) volume as it is stored."""
    grid = Grid.over_box(model.grid.spacing)
    out = np.zeros(grid.shape, volume.dtype)
    out[grid.window(*model.grid.corners)[1]] = volume
    return out[::-1, ::-1, :]


def without_agent(model: Model) -> np.ndarray:
    """T1ce's sequence before the agent."""
    plain = replace(model.content, uptake=np.zeros_like(model.content.uptake))
    protocol = replace(model.protocol, agent=replace(model.protocol.agent, blood=0.0, dura=0.0))
    return render(plain, model.tissues, protocol)["t1ce"]
