"""Vessels and dura."""

from __future__ import annotations

import pytest

from gantk.phantom.subject import Model
from phantoms import without_agent


@pytest.mark.parametrize("name", ["blood", "dura"])
def test_vessels_and_dura_enhance(models: list[Model], name: str) -> None:
    for model in models:
        before, after = without_agent(model), model.images()["t1ce"][model.anatomy.brain]
        there = (model.content.apart[name] > 0.3) & (model.content.uptake == 0)
        assert there.sum() > 10
        assert after[there].mean() > 1.05 * before[there].mean()
