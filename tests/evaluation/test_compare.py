"""Comparison of runs: best per column, shared baselines, refusal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from gantk.errors import EvaluationError, UsageError
from gantk.evaluation.compare import compare
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.evaluation.tables import decimals, write_value

COLUMNS = {"ssim": Column("SSIM", "image", True), "mse_tumour": Column("MSE", "tumour", False)}


@pytest.fixture
def make(tmp_path: Path):
    def one(name: str, ssim: float, mse: float, *, split: str = "s", settings: str = "e") -> Path:
        rows = [
            Row(patient, method, 5, {"ssim": a + shift, "mse_tumour": b})
            for patient, shift in (("p", 0.0), ("q", 0.02))
            for method, a, b in (("student", ssim, mse), ("input:t1", 0.5, 0.05))
        ]
        Evaluation(split, settings, COLUMNS, rows).write(tmp_path / name / "evaluation")
        return tmp_path / name

    return one


def shown(tables) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"), color_system="standard", force_terminal=True)  # noqa: SIM115, PTH123
    console.print(*tables)
    return console.export_text(styles=True)


def test_table_and_best(make):
    found = compare([make("one", 0.8, 0.01), make("two", 0.9, 0.02)])
    assert [(line.run, line.method) for line in found.lines] == [
        ("one", "student"),
        ("two", "student"),
        ("(every run)", "input:t1"),
    ]
    text = shown(found.tables())
    for best, other in (("0.910 ± 0.014", "0.810 ± 0.014"), ("0.0100 ± 0.0000", "0.0200 ± 0.0000")):
        assert f"\x1b[1m{best}" in text
        assert other in text
        assert f"\x1b[1m{other}" not in text
    assert "MSE tumour ↓" in text
    data = json.loads(json.dumps(found.to_dict()))
    assert data["comparable"] is True
    assert data["rows"][1]["values"]["ssim"]["mean"] == pytest.approx(0.91)


@pytest.mark.parametrize("difference", [{"split": "other"}, {"settings": "other"}])
def test_refuses_what_does_not_compare(make, difference):
    runs = [make("one", 0.8, 0.01), make("two", 0.9, 0.02, **difference)]
    with pytest.raises(EvaluationError, match=next(iter(difference))) as error:
        compare(runs)
    assert "other in two" in str(error.value)
    forced = compare(runs, force=True)
    assert "NOT COMPARABLE" in forced.title
    assert forced.to_dict()["comparable"] is False
    assert "NOT COMPARABLE" in shown(forced.tables())


def test_runs_of_one_name_stay_apart(make, tmp_path):
    runs = [make("x/one", 0.8, 0.01), make("y/one", 0.9, 0.01)]
    assert len({line.run for line in compare(runs).lines if line.method == "student"}) == 2


def test_needs_evaluations(tmp_path):
    with pytest.raises(UsageError):
        compare([])
    with pytest.raises(EvaluationError, match=r"summary\.json"):
        compare([tmp_path])


def test_comparing_does_not_load_torch():
    code = "import sys, gantk.evaluation.compare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
