"""Every kind of component has its conformance class."""

from __future__ import annotations

import pytest

import gantk.testing
from gantk.plugins.kinds import KINDS
from gantk.testing.kinds import conformance


def test_every_kind_has_one_and_it_is_public() -> None:
    assert {kind: conformance(kind).kind for kind in KINDS} == {kind: kind for kind in KINDS}
    for kind in KINDS:
        assert getattr(gantk.testing, conformance(kind).__name__) is conformance(kind)


def test_an_unknown_kind_has_none() -> None:
    with pytest.raises(KeyError):
        conformance("los")
