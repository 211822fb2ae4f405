"""Numbers in tables."""

from __future__ import annotations

import pytest

from gantk.tables.numbers import decimals, write_value


@pytest.mark.parametrize(
    ("value", "text"), [(27.314, "27.3"), (0.8947, "0.895"), (0.002134, "0.00213"), (0.0, "0.000"), (123.4, "123")]
)
def test_three_digits(value, text):
    assert write_value(value, decimals([value])) == text


@pytest.mark.parametrize(
    ("means", "digits"), [((0.132, 0.009), 4), ((0.88, 0.05), 3), ((25.1, 9.8), 1), ((0.5, 1e-9), 5), ((), 3)]
)
def test_a_column_has_one_number_of_decimals(means, digits):
    assert decimals([*means, float("nan")]) == digits


@pytest.mark.parametrize(("means", "digits"), [((0.8947, 0.7424), 4), ((23.6, 13.4), 2), ((0.009, 0.063), 5), ((), 3)])
def test_four_digits_as_in_the_paper(means, digits):
    assert decimals(means, 4) == digits
