"""Sentences about whom an evaluation measured."""

from __future__ import annotations

from gantk.evaluation.subjects import Subjects


def test_test_patients() -> None:
    found = Subjects(size=(96, 80), left_out=("a", "b"))
    assert (found.measured, found.measured_at) == ("test patients", "Measured at 96 × 80 pixels")
    assert found.omitted == "2 patients lack an input and were left out"
    assert found.warning == ""


def test_others() -> None:
    found = Subjects("picture", trained_on=True, left_out=("a",))
    assert (found.measured, found.measured_at) == ("training pictures", "")
    assert found.omitted == "1 picture lacks an input and was left out"
    assert found.warning == "Measured on the training pictures: nothing was held out"
    assert Subjects().omitted == ""
