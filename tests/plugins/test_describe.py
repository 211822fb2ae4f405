"""Descriptions of components."""

from __future__ import annotations

import json

import gantk
from gantk.plugins import Component, load_plugins
from gantk.plugins.describe import EXAMPLES, describe
from gantk.plugins.kinds import KINDS


def test_every_installed_component_can_be_described() -> None:
    components = list(load_plugins().registry)
    assert components
    for component in components:
        said = describe(component)
        assert said["summary"], component.name
        json.dumps(said, default=str)
    assert EXAMPLES.keys() == KINDS.keys()


def test_looking_at_a_loss_goes_no_further_than_its_needs() -> None:
    class Loads:
        """A loss that loads a network."""

        def __init__(self, size: int = 3) -> None:
            self.needs = gantk.Needs(pool=size)
            raise AssertionError("this would take long")

    assert describe(Component("loads", "loss", Loads, "p", "1"))["needs"] == ["a pool of 3 past outputs"]
