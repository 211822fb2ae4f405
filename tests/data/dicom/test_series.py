"""A series as its headers tell it."""

from __future__ import annotations

import pytest

from gantk.data.dicom.series import Series


@pytest.mark.parametrize(
    ("image_type", "derived"),
    [
        (("ORIGINAL", "PRIMARY", "M"), False),
        (("DERIVED", "SECONDARY"), True),
        ((), False),
        (("PRIMARY", "DERIVED"), False),
    ],
)
def test_an_image_is_derived_where_its_first_word_says_so(image_type: tuple[str, ...], derived: bool) -> None:
    assert Series("1", "P1", "2", image_type=image_type).derived == derived
