"""Comparison of runs: best per column, shared baselines, refusal."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from gantk.data.split import Split
from gantk.errors import EvaluationError, UsageError
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.tables.compare import compare, to_dict
from gantk.tables.grids import to_rich

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


def against(table):
    """The differences from the reference, by the name of the row."""
    return {row.name: by_column for row, _, by_column in table.significance.lines}


def test_table_and_best(make):
    found = compare([make("one", 0.8, 0.01), make("two", 0.9, 0.02)])
    assert [(row.changes["run"], row.method) for row in found.rows] == [
        ("one", "student"),
        ("two", "student"),
        ("(every run)", "input:t1"),
    ]
    text = shown(map(to_rich, found.grids()))
    for best, other in (("0.910 ± 0.014", "0.810 ± 0.014"), ("0.0100 ± 0.0000", "0.0200 ± 0.0000")):
        assert f"\x1b[1m{best}" in text
        assert other in text
        assert f"\x1b[1m{other}" not in text
    assert "patients: tumour" in text
    assert "MSE ↓" in text
    data = json.loads(json.dumps(to_dict(found)))
    assert data["comparable"] is True
    assert data["rows"][1]["values"]["ssim"]["mean"] == pytest.approx(0.91)


def test_means_that_are_written_alike_are_all_best(make):
    text = shown(map(to_rich, compare([make("one", 0.9, 0.01), make("two", 0.9 + 1e-9, 0.02)]).grids()))
    assert text.count("\x1b[1m0.910 ± 0.014") == 2


def test_baselines_of_one_title_are_told_apart(tmp_path):
    """Runs that were trained on different patients have different training means."""
    for name, mean in (("one", 0.7), ("two", 0.6)):
        rows = [Row("p", method, 5, {"ssim": value}) for method, value in (("student", 0.5), ("training_mean", mean))]
        Evaluation("s", "e", {"ssim": COLUMNS["ssim"]}, rows).write(tmp_path / name / "evaluation")
    assert compare([tmp_path / "one", tmp_path / "two"]).notes == tuple(
        f"† predicting the training mean (baseline/training_mean of {name}) scores better than the best method in "
        "SSIM ↑"
        for name in ("one", "two")
    )


def test_the_test_part_alone_must_be_equal(make):
    full, part = (("a", "b"), ()), (("a",), ("b",))
    runs = []
    for name, (paired, unpaired), test in (("one", full, "pq"), ("two", part, "pq"), ("three", part, "p")):
        split = Split(paired, unpaired, ("v",), tuple(test))
        runs.append(make(name, 0.8, 0.01, split=split.hash))
        split.to_csv(runs[-1] / "split.csv")
    (note,) = [n for n in compare(runs[:2]).notes if n.startswith("The runs were not trained on the same patients")]
    assert "2 paired and 0 unpaired (split" in note
    assert "1 paired and 1 unpaired (split" in note
    with pytest.raises(EvaluationError, match=r"different test .*train them with the same data"):
        compare(runs)


@pytest.mark.parametrize("difference", [{"split": "other"}, {"settings": "other"}])
def test_refuses_what_does_not_compare(make, difference):
    runs = [make("one", 0.8, 0.01), make("two", 0.9, 0.02, **difference)]
    with pytest.raises(EvaluationError, match=next(iter(difference))) as error:
        compare(runs)
    assert "other in two" in str(error.value)
    forced = compare(runs, force=True)
    assert to_dict(forced)["comparable"] is False
    assert "NOT COMPARABLE" in shown(map(to_rich, forced.grids()))


def test_runs_of_one_name_stay_apart(make, tmp_path):
    runs = [make("x/one", 0.8, 0.01), make("y/one", 0.9, 0.01)]
    assert len({row.changes["run"] for row in compare(runs).rows if row.method == "student"}) == 2


def test_needs_evaluations(tmp_path):
    with pytest.raises(UsageError):
        compare([])
    with pytest.raises(EvaluationError, match=r"summary\.json"):
        compare([tmp_path])


@pytest.mark.slow
def test_comparing_does_not_load_torch():
    code = "import sys, gantk.tables.compare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def many(folder: Path, shift: float, *, split: str = "s", predict: str = "student") -> Path:
    """A run of eight patients; `shift` moves the student of each by another amount."""
    columns = COLUMNS | {"mse": Column("MSE", "image", False)}
    rows = [
        Row(f"p{i}", method, 5, {"ssim": ssim, "mse": ssim / 9, "mse_tumour": 0.02 + 0.001 * i - extra})
        for i in range(8)
        for method, ssim, extra in (
            ("teacher", 0.7 + 0.01 * i, 0.0),
            ("student", 0.8 + 0.01 * i + shift * (1 + i % 3), shift),
            ("input:t1", 0.5, 0.0),
        )
    ]
    Evaluation(split, "e", columns, rows).write(folder / "evaluation")
    text = f'name = "x"\npredict = "{predict}"\n[translators.teacher]\n[translators.student]\n'
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    return folder


def test_paired_differences_from_what_the_first_run_predicts_with(tmp_path):
    one, two = many(tmp_path / "one", 0.0), many(tmp_path / "two", 0.01)
    found = compare([one, two])
    assert found.significance.reference == "student of one"
    titles = against(found)
    # the teacher's numbers are the same in both runs
    assert set(titles) == {"student of two", "teacher", "baseline/input:t1"}
    test = titles["student of two"]["ssim"]
    assert (test.n, test.p) == (8, pytest.approx(2 / 2**8))
    assert test.mean == pytest.approx(0.01 * (1 + 2 + 3 + 1 + 2 + 3 + 1 + 2) / 8)
    assert test.low < test.mean < test.high
    assert test.holm == pytest.approx(3 * 2 / 2**8)
    assert set(titles["teacher"]) == {"ssim", "mse"}
    everywhere = against(compare([one, two], all_regions=True))
    assert set(next(iter(everywhere.values()))) == {"ssim", "mse", "mse_tumour"}
    text = shown([to_rich(found.significance_grid())])
    assert "Difference from student of one" in text
    assert "+0.0188" in text
    assert "Wilcoxon" in text
    data = json.loads(json.dumps(to_dict(found)))
    assert data["reference"] == {"run": "one", "method": "student"}
    row = next(row for row in data["rows"] if row["run"] == "two" and row["method"] == "student")
    assert row["differences"]["ssim"]["n"] == 8
    (own,) = [row for row in data["rows"] if (row["run"], row["method"]) == ("one", "student")]
    assert own["differences"] == {}


def test_a_metric_without_the_whole_image_is_tested_in_its_regions(make):
    assert {name for by in against(compare([make("one", 0.8, 0.01)])).values() for name in by} == {"ssim", "mse_tumour"}


def test_a_baseline_without_a_metric_is_not_tested_in_it(tmp_path):
    rows = [
        Row(f"p{i}", method, 1, {"ssim": ssim + i / 8, "mse_tumour": mse})
        for i in range(7)
        for method, ssim, mse in (("g", 0.5, math.nan), ("h", 0.25, 0.2), ("input:t1", 0.125, math.nan))
    ]
    Evaluation("s", "e", COLUMNS, rows).write(tmp_path / "evaluation")
    found = compare([tmp_path], reference=(tmp_path, "h"))
    grid = found.significance_grid()
    assert [[cell.text for cell in row[:3]] for section in grid.sections for row in section] == [
        [f"g of {tmp_path.name}", "SSIM ↑", "7 a"],
        [f"baseline/input:t1 of {tmp_path.name}", "SSIM ↑", "7 a"],
    ]
    assert grid.notes == ("a: the same difference in every patient",)


def test_reference_may_be_named(tmp_path):
    one, two = many(tmp_path / "one", 0.0), many(tmp_path / "two", 0.01, predict="teacher")
    assert (found := compare([one], reference=(two, "student"))).significance.reference == "student of two"
    assert {row.changes["run"] for row in found.rows} == {"two", "one", "(every run)"}
    assert to_dict(compare([one, two], reference=(two, None)))["reference"]["method"] == "teacher"
    assert to_dict(compare([one, two], reference=(one, "input:t1")))["reference"]["run"] == "(every run)"
    with pytest.raises(UsageError, match="did you mean 'student'"):
        compare([one, two], reference=(one, "studnt"))


def test_forced_differences_warn(tmp_path):
    found = compare([many(tmp_path / "one", 0.0), many(tmp_path / "two", 0.01, split="other")], force=True)
    assert "NOT COMPARABLE: different split" in found.significance_grid().head


def test_one_method_has_nothing_to_be_compared_with(tmp_path):
    Evaluation("s", "e", COLUMNS, [Row("p", "g", 1, {"ssim": 1.0, "mse_tumour": 0.0})]).write(tmp_path / "evaluation")
    assert compare([tmp_path]).significance_grid() is None
