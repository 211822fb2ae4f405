"""The table of one run: what is best, what is missing, and what was measured."""

from __future__ import annotations

import math

from gantk.evaluation.results import Column, Evaluation, Row, Subjects
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
            (Cell("baseline/input:t1"), Cell("0.950 ± 0.000"), Cell("0.500 ± 0.141")),  # a baseline is never the best
            (Cell("teacher"), Cell("0.700"), Cell("–")),
        ),
    )


def test_methods_as_columns() -> None:
    grid = table_of(evaluation(), RECIPE).grid().transposed()
    assert grid.header == ("", "student", "baseline/input:t1", "teacher")
    assert [[cell.text for cell in row] for row in grid.sections[0]] == [
        ["SSIM ↑", "0.900 ± 0.141", "0.950 ± 0.000", "0.700"],
        ["MSE tumour ↓", "–", "0.500 ± 0.141", "–"],
    ]


def test_it_says_what_was_measured() -> None:
    assert table_of(evaluation(), RECIPE).grid().title == "Test patients, mean ± standard deviation"
    grid: Grid = table_of(evaluation(subjects=Subjects("image", trained_on=True)), RECIPE).grid()
    assert grid.title == "Training images, mean ± standard deviation"
    assert grid.caption == "Measured on the training images: nothing was held out."
