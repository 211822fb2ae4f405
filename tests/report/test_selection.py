"""Slices that several runs have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drawn_runs import write_run
from gantk.errors import EvaluationError, UsageError
from gantk.report.selection import SliceName, select
from gantk.tables.paper import result_table


def test_shared_slices_by_the_size_of_their_tumour(tmp_path, examples):
    examples.segmentation = examples.segmentation.copy()
    examples.segmentation[1, :20] = 2
    one = write_run(tmp_path / "one", examples)
    chosen = select(result_table([one]), [one])
    assert [str(name) for name in chosen.ranked()] == [examples.titles[1], examples.titles[0]]
    other = write_run(tmp_path / "other", replace(examples, titles=[examples.titles[0], "P, slice 5"]))
    both = select(result_table([one, other]), [one, other])
    assert [str(name) for name in both.ranked()] == examples.titles[:1]
    assert [method.label for method in both.methods] == ["one", "other"]
    assert both.find(both.methods[0], SliceName("P", 5)) is None
    assert both.find(both.methods[1], SliceName("P", 5)).target.shape == examples.target.shape[1:]


def test_other_geometry_is_refused_with_the_reason(tmp_path, examples):
    folders = [write_run(tmp_path / "one", examples), write_run(tmp_path / "other", examples, crop=64)]
    with pytest.raises(EvaluationError, match=r"data.crop is 48 × 40 in one, 64 × 40 in other"):
        select(result_table(folders), folders)


def test_runs_that_are_named_are_rows_and_seeds_of_a_sweep_are_not(tmp_path, examples):
    folders = [write_run(tmp_path / f"s{seed}" / "r", examples, seed) for seed in (3, 5)]
    table = result_table(folders)
    assert len([row for row in table.rows if not row.baseline]) == 1
    assert [m.label for m in select(table, folders).methods] == ["r, seed 3", "r, seed 5"]
    assert [m.folder for m in select(table).methods] == folders[:1]
    assert [m.folder for m in select(table, seed=5).methods] == folders[1:]
    with pytest.raises(UsageError, match=r"no seed 4.*choose one of 3, 5"):
        select(table, seed=4)
