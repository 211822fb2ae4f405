"""Folds of a cross-validation are pooled: every patient once."""

import math
import statistics
from dataclasses import replace

import pytest

from gantk.data.split import Split
from gantk.errors import EvaluationError
from gantk.evaluation.results import Column, Evaluation, Statistic
from gantk.tables.paper import result_table
from written_sweeps import PATIENTS, SweepFolder, evaluate, row_of, values


def crossed(sweep: SweepFolder, variant: str, mean: float, seed: int, folds: int, done: int) -> None:
    """A cross-validation over the patients, of which some folds are done."""
    for fold in range(folds):
        folder = sweep.child(variant, seed, {"data.split.fold": fold})
        if fold >= done:
            continue
        tested = PATIENTS[fold::folds]
        split = Split(tuple(p for p in PATIENTS if p not in tested), (), (), tuple(tested))
        evaluation = evaluate(folder, {"student": mean + seed / 100}, seed, split=split.hash)
        rows = [row for row in evaluation.rows if row.patient in tested]
        replace(evaluation, rows=rows).write(folder / "evaluation")
        split.to_csv(folder / "split.csv")
        recipe = (folder / "recipe.toml").read_text().replace("[data]\n", "[data]\nsplit = { folds = %d, fold = %d }\n")
        (folder / "recipe.toml").write_text(recipe % (folds, fold))


def test_folds_are_pooled_with_every_patient_once(tmp_path):
    variants = '[variants.a]\nlabel = "A"\n[variants.b]\nlabel = "B"\n'
    sweep = SweepFolder(tmp_path / "cv", variants, '"data.split.fold" = [0, 1, 2, 3]')
    for variant, mean in (("a", 0.9), ("b", 0.8)):
        crossed(sweep, variant, mean, 0, folds=4, done=4)
    table = result_table([sweep.root], reference="B")
    assert [row.name for row in table.rows if not row.baseline] == ["A", "B"]
    row = row_of(table, "A")
    expected = values(0.9, 0)
    assert row.patients()["ssim"] == pytest.approx({p: expected[p]["ssim"] for p in PATIENTS})
    assert (row.values["ssim"].n, row.values["ssim_tumour"].n) == (8, 7)
    assert row.values["ssim"].std == pytest.approx(statistics.stdev(expected[p]["ssim"] for p in PATIENTS))
    assert table.spread == "patients"
    assert "One run per row and fold" in table.caption
    assert "8 test patients" in table.caption
    assert any("folds 0, 1, 2, 3 of 4 are pooled" in note for note in table.notes)
    assert not table.differences
    ((_, _, by_column),) = table.significance.lines[:1]
    assert by_column["ssim"].n == 8
    assert [row.values["ssim"].n for row in table.rows if row.baseline] == [8, 8]


def test_what_has_one_number_for_all_patients_is_not_pooled_and_said(tmp_path):
    sweep = SweepFolder(tmp_path / "cv", "[variants.a]\n")
    crossed(sweep, "a", 0.9, 0, folds=2, done=2)
    for folder in (sweep.root / "children").iterdir():
        found = Evaluation.read(folder / "evaluation")
        columns = {**found.columns, "fid": Column("FID", "image", False)}
        overall = {method: {"fid": Statistic(3.0, math.nan, 4)} for method in found.methods}
        rows = [replace(row, values={**row.values, "fid": math.nan}) for row in found.rows]
        replace(found, rows=rows, columns=columns, overall=overall).write(folder / "evaluation")
    table = result_table([sweep.root])
    assert "fid" not in table.columns
    assert any(note.startswith("FID is one number for all images") for note in table.notes)


def test_seeds_of_folds_have_a_spread_of_their_own(tmp_path):
    sweep = SweepFolder(tmp_path / "cv", "[variants.a]\n")
    for seed in (0, 1):
        crossed(sweep, "a", 0.9, seed, folds=2, done=2)
    (row,) = [row for row in result_table([sweep.root]).rows if not row.baseline]
    assert (row.seeds, row.values["ssim"].n, len(row.folders)) == ((0, 1), 2, 4)
    assert len(row.patients()["ssim"]) == len(PATIENTS)


def test_only_folds_that_all_rows_have_are_pooled(tmp_path):
    sweep = SweepFolder(tmp_path / "cv", "[variants.a]\n[variants.b]\n")
    crossed(sweep, "a", 0.9, 0, folds=4, done=4)
    crossed(sweep, "b", 0.8, 0, folds=4, done=2)
    table = result_table([sweep.root])
    assert {row.values["ssim"].n for row in table.rows} == {4}
    assert any("Folds 2, 3 are left out" in note for note in table.notes)


def test_a_patient_in_two_folds_is_refused_and_folds_are_not_mixed_with_whole_splits(tmp_path):
    sweep = SweepFolder(tmp_path / "cv", "[variants.a]\n[variants.b]\n")
    crossed(sweep, "a", 0.9, 0, folds=2, done=2)
    evaluate(sweep.child("b", 0), {"student": 0.8}, 0)
    with pytest.raises(EvaluationError, match="different split"):
        result_table([sweep.root])
    other = SweepFolder(tmp_path / "twice", "[variants.a]\n")
    crossed(other, "a", 0.9, 0, folds=2, done=2)
    folder = other.root / "children" / "a-1-0"
    evaluate(folder, {"student": 0.8}, 0)
    recipe = (folder / "recipe.toml").read_text().replace("[data]\n", "[data]\nsplit = { folds = 2, fold = 1 }\n")
    (folder / "recipe.toml").write_text(recipe)
    with pytest.raises(EvaluationError, match="is tested in two folds"):
        result_table([other.root])
