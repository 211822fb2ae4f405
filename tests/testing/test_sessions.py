"""Sessions of chosen components."""

from __future__ import annotations

import pytest

import gantk
import gantk.testing
from mistakes import PlainLoss


def test_a_session_has_what_it_is_given_and_no_other_has() -> None:
    made = gantk.testing.session(loss={"mine": PlainLoss})
    assert made.registry.get("loss", "mine").cls is PlainLoss
    assert "l1" in made.registry.names("loss")
    assert "mine" not in gantk.testing.session().registry.names("loss")
    bare = gantk.testing.session(installed=False, losses={"mine": PlainLoss})
    assert bare.registry.names("loss") == ["mine"]
    assert "brats" in bare.registry.names("dataset")


def test_a_session_says_why_a_plugin_does_not_load() -> None:
    class Broken:
        __name__ = "broken"

        @gantk.hookimpl
        def register_losses(self) -> dict[str, type]:
            raise RuntimeError("out of order")

    with pytest.raises(gantk.PluginError, match="out of order"):
        gantk.testing.session(Broken())
