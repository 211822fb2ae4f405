"""Names of MR sequences."""

from __future__ import annotations

import pytest

from gantk.data.modalities import canonical, in_order


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("T1w", "t1"),
        ("t1n", "t1"),
        ("T2F", "flair"),
        ("t1c", "t1ce"),
        ("T1Gd", "t1ce"),
        ("segm", "seg"),
        ("ADC", "adc"),
    ],
)
def test_sequences_have_one_name(written: str, name: str) -> None:
    assert canonical(written) == name
    assert canonical(name) == name


def test_the_usual_come_first() -> None:
    assert in_order(["zeta", "seg", "t1ce", "adc", "t2", "t1"]) == ["t1", "t2", "t1ce", "seg", "adc", "zeta"]
