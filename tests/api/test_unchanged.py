"""Slices train to the same losses as before the core knew volumes, but for rounding."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import unchanged
from gantk.plugins import load_plugins

BEFORE = json.loads(unchanged.FILE.read_text(encoding="utf-8"))
#: Lines of the run's first stage; rounding changes the student's values, so only their names are compared.
TEACHER = 8


@pytest.mark.parametrize("name", unchanged.NAMES)
def test_a_recipes_losses_are_those_of_before(name: str) -> None:
    found, before = unchanged.losses(name, load_plugins().registry), BEFORE["losses"][name]
    assert list(found) == list(before)
    rounding = 1e-5  # of the first step; Adam's update amplifies small gradients
    for stage, steps in found.items():
        for now, then in zip(steps, before[stage], strict=True):
            assert now == pytest.approx(then, rel=rounding)
            rounding = 1e-2


def test_a_runs_losses_and_metrics_are_those_of_before(uninterrupted: Callable[[str], Path]) -> None:
    found = unchanged.journalled(uninterrupted("plain"))
    assert [list(one) for one in found] == [list(one) for one in BEFORE["run"]]
    for now, then in list(zip(found, BEFORE["run"], strict=True))[:TEACHER]:
        assert now == pytest.approx(then, rel=1e-3, abs=1e-5)
