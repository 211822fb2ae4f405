"""Slices train to the same losses, to the last bit, as before the core knew volumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import unchanged
from gantk.plugins import load_plugins

BEFORE = json.loads(unchanged.FILE.read_text(encoding="utf-8"))


def check(found: Any, before: Any) -> None:
    """Equal, or close where this machine rounds otherwise than the one that the numbers are of."""
    if unchanged.arithmetic() == BEFORE["arithmetic"]:
        assert found == before
    else:
        assert [list(one) for one in found] == [list(one) for one in before]
        for one, other in zip(found, before, strict=True):
            assert one == pytest.approx(other, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", unchanged.NAMES)
def test_a_recipes_losses_are_those_of_before(name: str) -> None:
    found = unchanged.losses(name, load_plugins().registry)
    assert list(found) == list(BEFORE["losses"][name])
    for stage, steps in found.items():
        check(steps, BEFORE["losses"][name][stage])


def test_a_runs_losses_metrics_and_images_are_those_of_before(uninterrupted: Callable[[str], Path]) -> None:
    check(unchanged.journalled(uninterrupted("plain")), BEFORE["run"])
