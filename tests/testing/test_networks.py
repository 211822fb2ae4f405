"""The checks that generators and discriminators share."""

from __future__ import annotations

import pytest

import gantk
import gantk.testing
from mistakes import Generator


def test_two_processes_are_tried_on_volumes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from gantk.testing import networks

    seen = []
    whole = networks.parallel_gradients
    monkeypatch.setattr(networks, "parallel_gradients", lambda n, image: seen.append(image.ndim) or whole(n, image))
    type("TestIt", (gantk.testing.GeneratorConformance,), {"component": Generator})().test_two_processes()
    assert seen == [4, 5]
