"""Results of an evaluation: their statistics, and their files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gantk.errors import EvaluationError
from gantk.evaluation.metrics import Mse, Psnr
from gantk.evaluation.results import Column, Evaluation, Row, Statistic
from gantk.files import read_json
from known_predictions import brighter, run


def test_round_trip(tmp_path):
    found = run({"student": brighter(0.2)}, metrics={"mse": Mse(), "psnr": Psnr()})
    found.write(tmp_path / "evaluation")
    again = Evaluation.read(tmp_path / "evaluation")
    assert repr(again) == repr(found)  # NaN is not equal to itself, its text is
    head = json.loads((tmp_path / "evaluation/summary.json").read_text(), parse_constant=pytest.fail)
    assert head["metrics"]["psnr_tumour"] == {"title": "PSNR", "region": "tumour", "higher_is_better": True}
    assert head["methods"]["student"]["mse_tumour"] == {"mean": pytest.approx(0.01), "std": None, "n": 1}
    lines = (tmp_path / "evaluation/patients.csv").read_text().splitlines()
    assert lines[0] == "patient,method,slices,mse,psnr,mse_brain,psnr_brain,mse_tumour,psnr_tumour"
    assert lines[2].endswith(",,")
    assert sorted(p.name for p in (tmp_path / "evaluation").iterdir()) == ["patients.csv", "summary.json"]


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ('"higher_is_better": false', '"higher_is_better": true'),
        ('"title": "MSE"', '"title": "MAE"'),
        ('"std"', '"sdt"'),
    ],
)
def test_a_summary_that_was_changed_is_refused(tmp_path, said, changed):
    run({"student": brighter(0.2)}).write(tmp_path)
    path = tmp_path / "summary.json"
    assert read_json(path)
    whole = path.read_text()
    assert said in whole
    path.write_text(whole.replace(said, changed, 1))
    with pytest.raises(EvaluationError, match="differs from its own checksum"):
        Evaluation.read(tmp_path)
    assert read_json(path) == {}


def test_a_summary_of_an_older_version_has_no_seal(tmp_path):
    run({"student": brighter(0.2)}).write(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(read_json(tmp_path / "summary.json")))
    assert Evaluation.read(tmp_path).rows


@pytest.mark.parametrize("damage", ["summary.json", "patients.csv", "cut"])
def test_reading_damage(tmp_path, damage):
    run({"student": brighter(0.2)}).write(tmp_path)
    if damage == "cut":
        (tmp_path / "summary.json").write_text("{")
    else:
        (tmp_path / damage).unlink()
    with pytest.raises(EvaluationError, match="evaluate the run again" if damage == "cut" else "wait until the run"):
        Evaluation.read(tmp_path)


def test_a_digit_that_no_mean_shows(tmp_path):
    run({"student": brighter(0.2)}).write(tmp_path)
    path = tmp_path / "patients.csv"
    text = path.read_text()
    for changed in (text.replace("b,student", "c,student"), text + "\n"):
        assert changed != text
        path.write_text(changed)
        with pytest.raises(EvaluationError, match=r"patients\.csv.*checksum"):
            Evaluation.read(tmp_path)


def test_statistic_of_few():
    assert Statistic.of([1.0, math.nan, 3.0]) == Statistic(2.0, math.sqrt(2), 2)
    assert Statistic.of([math.nan]).n == 0


def test_a_scan_without_a_value_leaves_the_patients_other_scans():
    rows = [Row("p", "m", 1, {"a": 0.5}, "p-1"), Row("p", "m", 1, {"a": math.nan}, "p-2"), Row("q", "m", 1, {"a": 1.0})]
    found = Evaluation("s", "e", {"a": Column("A", "image", True)}, rows)
    assert found.values("m") == {"a": {"p": 0.5, "q": 1.0}}


COLUMNS = {"ssim": Column("SSIM", "image", True), "mse_tumour": Column("MSE", "tumour", False)}


def test_an_infinite_value_has_no_deviation():
    found = Statistic.of([math.inf, 30.0])
    assert (found.mean, found.n) == (math.inf, 2)
    assert math.isnan(found.std)
    assert found.to_dict()["mean"] is None


def test_numpy_numbers_are_written_as_numbers(tmp_path):
    row = Row("p", "g", 1, {"ssim": np.float64(0.25), "mse_tumour": math.nan})
    Evaluation("s", "e", COLUMNS, [row]).write(tmp_path)
    assert Evaluation.read(tmp_path).values("g")["ssim"] == {"p": 0.25}
