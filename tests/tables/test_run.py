"""The table of one run: what is best, what is missing, and what was measured."""

from __future__ import annotations

import math

import pytest

from gantk.evaluation.results import Column, Evaluation, Row
from gantk.evaluation.subjects import Subjects
from gantk.tables.grids import Cell, Grid
from gantk.tables.run import table_of

COLUMNS = {"ssim": Column("SSIM", "image", True), "mse_tumour": Column("MSE", "tumour", False)}
RECIPE = {"translators": {"student": {}, "teacher": {}}}
VALUES = {
    "student": ((0.8, math.nan), (1.0, math.nan)),
    "input:t1": ((0.95, 0.4), (0.95, 0.6)),
    "teacher": ((0.7, math.nan),),
}


def evaluation(**more: object) -> Evaluation:
    rows = [
        Row(f"p{i}", method, 1, {"ssim": ssim, "mse_tumour": mse})
        for method, patients in VALUES.items()
        for i, (ssim, mse) in enumerate(patients)
    ]
    return Evaluation("s", "e", COLUMNS, rows, **more)


def test_the_best_is_marked_and_gaps_are_left() -> None:
    grid = table_of(evaluation(), RECIPE).grid()
    assert grid.header == ("method", "SSIM ↑", "MSE tumour ↓")
    assert grid.sections == (
        (
            (Cell("student"), Cell("0.900 ± 0.141", best=True), Cell("–")),
            (Cell("baseline/input:t1"), Cell("† 0.950 ± 0.000"), Cell("0.500 ± 0.141")),  # never the best
            (Cell("teacher"), Cell("0.700"), Cell("–")),
        ),
    )


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        (0.9, "the same as the best method in SSIM ↑"),
        (0.95, "better than the best method in SSIM ↑"),
        (0.8999, "the same as the best method in SSIM ↑"),  # as it is written
        (0.89, None),
    ],
)
def test_a_baseline_that_the_best_method_does_not_better_is_marked_and_said(copy: float, said: str | None) -> None:
    rows = [
        Row("p", method, 1, {"ssim": value})
        for method, value in {"student": 0.9, "teacher": 0.5, "input:t1": copy, "target:real": 0.99}.items()
    ]
    table = table_of(Evaluation("s", "e", {"ssim": COLUMNS["ssim"]}, rows), RECIPE)
    marked = [row.method for row in table.rows if "†" in table.grid().sections[0][table.rows.index(row)][1].text]
    assert marked == (["input:t1"] if said else [])
    assert table.notes == ((f"† copying the t1 (baseline/input:t1) scores {said}",) if said else ())


def test_methods_as_columns() -> None:
    grid = table_of(evaluation(), RECIPE).grid().transposed()
    assert grid.header == ("", "student", "baseline/input:t1", "teacher")
    assert [[cell.text for cell in row] for row in grid.sections[0]] == [
        ["SSIM ↑", "0.900 ± 0.141", "† 0.950 ± 0.000", "0.700"],
        ["MSE tumour ↓", "–", "0.500 ± 0.141", "–"],
    ]


def test_it_says_what_was_measured() -> None:
    assert table_of(evaluation(), RECIPE).grid().title == "Test patients, mean ± standard deviation"
    grid: Grid = table_of(evaluation(subjects=Subjects("image", trained_on=True)), RECIPE).grid()
    assert grid.title == "Training images, mean ± standard deviation"
    assert grid.caption == "Measured on the training images: nothing was held out."


def test_a_baseline_that_wins_every_column_is_said_in_few_words() -> None:
    columns = {f"ssim_{region}": Column("SSIM", region, True) for region in ("image", "brain", "tumour", "tc")}
    rows = [
        Row("p", method, 1, dict.fromkeys(columns, value)) for method, value in (("student", 0.5), ("input:t1", 0.9))
    ]
    (note,) = table_of(Evaluation("s", "e", columns, rows), RECIPE).notes
    assert note == "† copying the t1 (baseline/input:t1) scores better than the best method in every column"
