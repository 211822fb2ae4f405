"""Figures over patients: their numbers are those of the evaluation, and stand beside them as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gantk.cli.main import app
from gantk.evaluation.examples import Examples
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.report import relations
from gantk.tables.run import run_table

COLUMNS = {"mse": Column("MSE", "image", False), "mse_tumour": Column("MSE", "tumour", False)}
VALUES = {"teacher": [0.1, 0.2, 0.4], "student": [0.2, 0.4, 0.3]}
SIZES = [10.0, 100.0, 0.0]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "demo-1"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(
        'name = "demo"\n[data]\nspacing = 2.0\n[translators.teacher]\n[translators.student]\n'
    )
    rows = [Row(f"P{i}", m, 3, dict.fromkeys(COLUMNS, v)) for m, values in VALUES.items() for i, v in enumerate(values)]
    images = {f"P{i}": {"tumour": size} for i, size in enumerate(SIZES)}
    Evaluation("s", "e", COLUMNS, rows, images=images).write(folder / "evaluation")
    target = np.full((1, 24, 20), -1, np.float32)
    target[:, 4:20, 4:16] = np.linspace(-0.5, 0.5, 12, dtype=np.float32)
    weights = np.where(target > -1, target + 1, 0).astype(np.float32)
    output = target + 0.1 * weights * (target > -1)
    labels = np.zeros((1, 24, 20), np.uint8)
    Examples(
        {"t1": target},
        target,
        {"student": output, "teacher": target},
        {"hard/student": weights},
        labels,
        ["P0, slice 1"],
    ).save(folder / "evaluation" / "examples.npz")
    return folder


def drawn(*options: str) -> list[dict[str, str]]:
    done = CliRunner().invoke(app, ["figure", "demo-1", *options, "-o", "f.png"])
    assert done.exit_code == 0, done.output
    with Image.open("f.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    with Path("f.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_value_is_shown(run: Path) -> None:
    rows = drawn("--violin", "mse", "--role", "teacher", "--role", "student")
    assert len(rows) == 12
    shown = [float(r["value"]) for r in rows if r["column"] == "mse_tumour" and "student" in r["method"]]
    assert shown == VALUES["student"]
    assert len(drawn("--violin", "mse", "--role", "student", "--region", "tumour")) == 3


def test_bias_and_limits_are_those_of_bland_and_altman(run: Path) -> None:
    rows = drawn("--bland-altman", "mse", "--role", "teacher", "--role", "student", "--region", "image")
    differences = np.array(VALUES["student"]) - VALUES["teacher"]
    assert [float(r["difference"]) for r in rows] == pytest.approx(differences)
    assert [float(r["mean"]) for r in rows] == pytest.approx([0.15, 0.3, 0.35])
    assert float(rows[0]["bias"]) == pytest.approx(differences.mean())
    half = 1.96 * differences.std(ddof=1)
    assert float(rows[0]["lower"]) == pytest.approx(differences.mean() - half)
    assert float(rows[0]["upper"]) == pytest.approx(differences.mean() + half)


def test_intensities_are_set_against_those_of_the_target(run: Path) -> None:
    made = {"P0": (0.5, 0.6), "P1": (0.4, 0.4), "P2": (0.3, 0.35)}
    with (run / "evaluation" / "intensities.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["patient", "subject", "method", "region", "pixels", "target", "made"])
        for patient, (target, own) in made.items():
            table.writerow([patient, patient, "student", "tumour", 9, target, own])
            table.writerow([patient, f"{patient}-2", "student", "image", 9, target, own - 0.1])
            table.writerow([patient, patient, "student", "image", 9, target, own + 0.1])  # of two visits the mean
    rows = drawn("--intensities", "--role", "student")
    assert {row["region"] for row in rows} == {"image", "tumour"}
    differences = np.array([0.1, 0.0, 0.05])
    for region in ("image", "tumour"):
        mine = [row for row in rows if row["region"] == region]
        assert [float(row["difference"]) for row in mine] == pytest.approx(differences)
        assert [float(row["mean"]) for row in mine] == pytest.approx([0.55, 0.4, 0.325])
        assert float(mine[0]["bias"]) == pytest.approx(0.05)
        assert float(mine[0]["upper"]) == pytest.approx(0.05 + 1.96 * differences.std(ddof=1))
    done = CliRunner().invoke(app, ["figure", "demo-1", "--intensities", "--violin", "mse"])
    assert done.exit_code == 2
    (run / "evaluation" / "intensities.csv").unlink()
    done = CliRunner().invoke(app, ["figure", "demo-1", "--intensities"])
    assert "evaluate the run again" in done.output


def test_patients_without_a_tumor_are_not_drawn_over_its_size(run: Path) -> None:
    rows = drawn("--tumour-size", "mse", "--role", "student", "--region", "image")
    assert [(r["patient"], float(r["size"]), float(r["value"])) for r in rows] == [("P0", 10, 0.2), ("P1", 100, 0.4)]


@pytest.mark.parametrize("kind", ["agreement", "tumour_size"])
def test_baselines_are_told_apart(run: Path, kind: str) -> None:
    """They are all gray."""
    values = {"student": 0.3, "input:t1": 0.2, "training_mean": 0.4}
    rows = [Row(f"P{i}", m, 3, {"mse": v + i / 10}) for m, v in values.items() for i in range(3)]
    Evaluation("s", "e", {"mse": COLUMNS["mse"]}, rows).write(run / "evaluation")
    table = run_table(run)
    sizes = {"P0": 300.0, "P1": 900.0, "P2": 2500.0}
    figure = (relations.agreement(table) if kind == "agreement" else relations.tumour_size(table, sizes)).figure
    (axes,) = figure.axes
    named = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert len(named) == (2 if kind == "agreement" else 3)
    assert len({(line.get_color(), line.get_marker()) for line in named}) == len(named)
    assert len({line.get_marker() for line in named if line.get_label().startswith("baseline/")}) == 2
    if kind == "tumour_size":
        figure.canvas.draw()
        assert {"500", "1,000", "2,000"} <= {label.get_text() for label in axes.get_xticklabels()}
        assert not any(label.get_text() for label in axes.get_xticklabels(minor=True))


def test_the_error_is_shown_over_the_weight(run: Path) -> None:
    rows = drawn("--weight-map", "hard/student", "--role", "student")
    weights, errors = ([float(r[name]) for r in rows] for name in ("weight", "error mean"))
    assert weights == sorted(weights)
    assert errors == pytest.approx([0.05 * weight for weight in weights], rel=1e-4)  # of images in [0, 1]
    assert sum(int(r["pixels"]) for r in rows) == 16 * 12


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--weight-map", "easy/student"], "there are hard/student"),
        (["--bland-altman", "mse", "--role", "student"], "there is one"),
        (["--violin", "mse", "--tumour-size", "mse"], "one thing"),
        (["--violin", "mse", "--slice", "3", "--patient", "P0"], "all patients"),
    ],
)
def test_what_cannot_be_drawn_is_said(run: Path, options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["figure", "demo-1", *options, "-o", "f.png"])
    assert done.exit_code
    assert said in " ".join(done.output.split())
    assert not Path("f.png").exists()
