"""Mean intensities by region."""

from __future__ import annotations

import pytest

from gantk.errors import EvaluationError
from gantk.evaluation.intensities import Intensities
from known_predictions import SIZE, brighter, run


def test_mean_intensities_of_target_and_output_by_region(tmp_path):
    seen = Intensities(["image", "brain", "tumour"])
    run({"student": brighter(0.2)}, watch=seen.add)
    seen.write(tmp_path / "i.csv", lambda one: one.subject != "b" or one.region != "image")
    found = {(one.patient, one.region): one for one in Intensities.read(tmp_path / "i.csv")}
    assert set(found) == {("a", "image"), ("a", "brain"), ("a", "tumour"), ("b", "brain")}  # b has no tumor
    brain = found["a", "brain"]  # three slices of 0, 0.2 and 0.4 in [-1, 1]
    assert (brain.pixels, brain.method) == (3 * SIZE * SIZE // 2, "student")
    assert (brain.target, brain.made) == pytest.approx((0.6, 0.7))
    assert (found["a", "image"].target, found["a", "image"].made) == pytest.approx((0.3, 0.35))
    assert (found["a", "tumour"].pixels, found["a", "tumour"].target) == pytest.approx((SIZE, 0.5))
    (tmp_path / "i.csv").write_text("patient,target\na,x\n")
    with pytest.raises(EvaluationError, match="damaged"):
        Intensities.read(tmp_path / "i.csv")
