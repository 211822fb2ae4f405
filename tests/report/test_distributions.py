"""Violins of a metric over patients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from drawn_runs import write_run
from gantk.api.relation import relation
from gantk.errors import EvaluationError
from gantk.evaluation.results import Evaluation
from gantk.report.distributions import draw_violins
from gantk.tables.paper import result_table


def names_of(figure):
    """The methods named beside a figure, and the titles of its panels."""
    labels = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    return labels, [axes.get_title() for axes in figure.axes]


def test_violins_show_every_patient(tmp_path, examples):
    folder = write_run(tmp_path / "one", examples)
    table = result_table([folder], roles=["teacher", "student"])
    figure = draw_violins(table)
    assert len(figure.axes) == len(table.columns)
    for axes, name in zip(figure.axes, table.columns, strict=True):
        points = [line for line in axes.lines if line.get_marker() == "."]
        for row, shown in zip(table.rows, points, strict=True):
            assert list(shown.get_xdata()) == list(row.patients()[name].values())
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert "baseline/input:t1" in names_of(figure)[0]


def test_a_diamond_lies_at_the_mean_and_equal_values_have_no_density(tmp_path, examples):
    folder = write_run(tmp_path / "one", examples)
    table = result_table([folder], regions=["image"], roles=["teacher"])
    (row,) = (row for row in table.rows if row.method == "teacher")
    level = replace(table, rows=[row])
    (axes,) = draw_violins(level).axes
    (name,) = level.columns
    values = list(row.patients()[name].values())
    (mean,) = (line for line in axes.lines if line.get_marker() == "D")
    assert mean.get_xdata()[0] == pytest.approx(sum(values) / len(values))
    assert len(axes.collections) == (len(set(values)) > 1)


def test_violins_leave_out_who_has_no_value(tmp_path, examples):
    folder = write_run(tmp_path / "one", examples)
    whole = Evaluation.read(folder / "evaluation")
    rows = [replace(r, values=r.values | {"ssim": math.nan}) if r.method == "input:t1" else r for r in whole.rows]
    Evaluation(whole.split, whole.settings, whole.columns, rows).write(folder / "evaluation")
    one, both = (
        names_of(draw_violins(result_table([folder], regions=regions))) for regions in (["image"], ["image", "tumour"])
    )
    assert both[0] - one[0] == {"baseline/input:t1"}
    assert (one[1], both[1]) == ([""], ["whole image", "tumour"])
    empty = [replace(r, values=dict.fromkeys(r.values, math.nan)) for r in whole.rows]
    Evaluation(whole.split, whole.settings, whole.columns, empty).write(folder / "evaluation")
    with pytest.raises(EvaluationError, match="no patient has a value of ssim"):
        relation([folder], tmp_path / "x.png", kind="violin", metric="ssim")
