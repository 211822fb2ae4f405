"""The message of a failed check, and how a check is skipped."""

from __future__ import annotations

import unittest

import pytest

from gantk.testing.failures import ConformanceError, expect, skip


def test_an_expectation_says_what_and_how_to_mend_it() -> None:
    expect(True, "wrong", "mend it")
    with pytest.raises(ConformanceError, match="wrong") as caught:
        expect(False, "wrong", "mend it")
    assert str(caught.value) == "wrong.\nMend: mend it."
    assert (caught.value.what, caught.value.mend) == ("wrong", "mend it")
    assert isinstance(caught.value, AssertionError), "pytest shows it as a failure, not as an error"


def test_a_skip_is_one_to_pytest_and_to_unittest() -> None:
    assert isinstance(skip("not here"), unittest.SkipTest)
    assert str(skip("not here")) == "not here"
