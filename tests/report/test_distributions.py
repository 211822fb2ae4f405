"""Histograms of a metric over patients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from drawn_runs import write_run
from gantk.api.relation import relation
from gantk.errors import EvaluationError
from gantk.evaluation.results import Evaluation
from gantk.report.distributions import draw_distributions
from gantk.tables.paper import result_table


def test_histograms_count_every_patient(tmp_path, examples):
    folder = write_run(tmp_path / "one", examples)
    table = result_table([folder], roles=["teacher", "student"])
    figure = draw_distributions(table)
    assert len(figure.axes) == len(table.rows) * len(table.columns)
    counts = [sum(patch.get_height() for patch in axes.patches) for axes in figure.axes]
    assert counts == [3] * len(figure.axes)
    by_column = [figure.axes[: len(table.rows)], figure.axes[len(table.rows) :]]
    assert all(len({axes.get_xlim() for axes in group}) == 1 for group in by_column)
    assert "baseline/input:t1" in {text.get_text() for text in figure.texts}


def test_histograms_leave_out_who_has_no_value(tmp_path, examples):
    folder = write_run(tmp_path / "one", examples)
    whole = Evaluation.read(folder / "evaluation")
    rows = [replace(r, values=r.values | {"ssim": math.nan}) if r.method == "input:t1" else r for r in whole.rows]
    Evaluation(whole.split, whole.settings, whole.columns, rows).write(folder / "evaluation")
    one, both = (
        {text.get_text() for text in draw_distributions(result_table([folder], regions=regions)).texts}
        for regions in (["image"], ["image", "tumour"])
    )
    assert "baseline/input:t1" in both
    assert both - one == {"baseline/input:t1", "whole image", "tumour", "SSIM tumour ↑"}
    empty = [replace(r, values=dict.fromkeys(r.values, math.nan)) for r in whole.rows]
    Evaluation(whole.split, whole.settings, whole.columns, empty).write(folder / "evaluation")
    with pytest.raises(EvaluationError, match="no patient has a value of ssim"):
        relation([folder], tmp_path / "x.png", kind="histogram", metric="ssim")
