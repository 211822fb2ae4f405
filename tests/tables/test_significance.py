"""Rows against a reference: the pairs, their seeds, and the notes."""

import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from gantk.errors import UsageError
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.tables.grids import to_markdown
from gantk.tables.paper import result_table
from gantk.tables.significance import significance
from gantk.tables.statistics import paired_difference
from written_sweeps import COLUMNS, PATIENTS, SweepFolder, evaluate, values


def test_significance_averages_each_patient_over_seeds(ablation):
    table = result_table([ablation.root], reference="DS³ without maps")
    tests = table.significance
    assert [row.title for row, _, _ in tests.lines] == [
        "DS³ & co_1, teacher",
        "DS³ & co_1, student",
        "baseline/input:t1",
        "baseline/training_mean",
    ]
    _, other, found = tests.lines[1]
    assert other.title == "DS³ without maps"
    for name in COLUMNS:
        own, against = (
            {p: statistics.fmean(values(mean, seed)[p][name] for seed in range(3)) for p in PATIENTS}
            for mean in (0.9, 0.8)
        )
        expected = paired_difference(own, against)
        assert found[name].mean == pytest.approx(expected.mean)
        assert found[name].p == expected.p
        assert (found[name].low, found[name].high) == pytest.approx((expected.low, expected.high))
        assert found[name].holm >= found[name].p
    assert found["ssim"].n == 8
    assert found["ssim_tumour"].n == 7
    text = to_markdown(table.significance_grid())
    assert "Difference from DS³ without maps" in text
    assert "corrected for the 4 comparisons" in text
    assert "9,999 resamples" in text


def test_reference_in_every_group(fractions):
    table = result_table([fractions.root], reference="paired only")
    pairs = [(row.name, other.name) for row, other, _ in table.significance.lines]
    assert ("DS³ (paired fraction 5 %)", "paired only (paired fraction 5 %)") in pairs
    assert ("DS³ (paired fraction 50 %)", "paired only (paired fraction 50 %)") in pairs
    notes = "\n".join(table.significance.notes)
    assert "CUT: not compared because no paired only has the same paired fraction" in notes
    assert "Pix2Pix (paired fraction 100 %): not compared" in notes
    assert "| DS³ − paired only (paired fraction 5 %)" in to_markdown(table.significance_grid())
    one = result_table([fractions.root], reference="paired only (paired fraction 5 %)")
    assert len(one.significance.lines) == len(one.rows) - 1


def test_reference_must_be_one(ablation):
    with pytest.raises(UsageError, match="did you mean"):
        result_table([ablation.root], reference="DS³ without map")
    with pytest.raises(UsageError, match="names 2 rows"):
        result_table([ablation.root], reference="DS³ & co_1")
    assert result_table([ablation.root], reference="input:t1").significance.reference == "baseline/input:t1"


def test_seeds_that_only_one_has_are_left_out_of_the_test(ablation):
    (ablation.root / "children" / "bare-2" / "evaluation" / "summary.json").unlink()
    table = result_table([ablation.root], reference="DS³ without maps")
    assert "DS³ & co_1, student: compared over the common seeds 0, 1 only" in table.significance.notes
    _, _, found = table.significance.lines[1]
    own, against = (
        statistics.fmean(values(mean, seed)[p]["ssim"] for seed in range(2) for p in PATIENTS) for mean in (0.9, 0.8)
    )
    assert found["ssim"].mean == pytest.approx(own - against)


def test_single_runs_are_compared_whatever_their_seeds(tmp_path):
    """Paired by patient, and the note says that the seeds differ."""
    runs = []
    for seed, value in ((0, 0.8), (1, 0.7)):
        sweep = SweepFolder(tmp_path / f"one{seed}", "[variants.a]", f'"run.seed" = [{seed}]')
        evaluate(sweep.child("a", seed), {"student": value}, seed)
        runs.append(sweep.root)
    table = result_table(runs)
    first, second = [row.name for row in table.rows if not row.baseline]
    tests = result_table(runs, reference=first).significance
    assert second in [row.title for row, _, _ in tests.lines]
    assert any(note.endswith("seed 1, but the reference has seed 0") for note in tests.notes)
    alone = result_table(runs[:1], roles=["student"])
    bare = replace(alone, rows=tuple(row for row in alone.rows if not row.baseline))
    with pytest.raises(UsageError, match=r"no row can be compared.*no other row"):
        significance(bare, bare.rows[0].name)


def bounded(folder: Path, seed: int, mean: float) -> None:
    """A run with a column that its baselines do not have, and a bound that has nothing else."""
    whole = evaluate(folder, {"teacher": mean - 0.1, "student": mean}, seed)
    columns = COLUMNS | {"dice": Column("Dice", "tumour", True, "the training of a network")}
    none = dict.fromkeys(COLUMNS, math.nan)
    rows = [
        Row(r.patient, r.method, 5, r.values | {"dice": r.values["ssim"] / 2 if r.method == "student" else math.nan})
        for r in whole.rows
    ] + [Row(p, "target:real", 5, none | {"dice": 0.9 + i / 100}) for i, p in enumerate(PATIENTS)]
    Evaluation(whole.split, whole.settings, columns, rows).write(folder / "evaluation")


def test_what_has_nothing_to_test_is_left_out(ablation):
    for variant, mean in (("full", 0.9), ("bare", 0.8)):
        for seed in range(3):
            bounded(ablation.root / "children" / f"{variant}-{seed}", seed, mean)
    table = result_table([ablation.root], reference="DS³ without maps")
    found = {row.title: set(by_column) for row, _, by_column in table.significance.lines}
    assert found["DS³ & co_1, teacher"] == found["baseline/input:t1"] == set(COLUMNS)
    assert found["DS³ & co_1, student"] == {*COLUMNS, "dice"}
    assert found["baseline/target:real"] == {"dice"}
    assert "corrected for the 4 comparisons of a metric (2 of Dice tumour ↑)" in table.significance.caption
    said = "For Dice, the training of a network is another source of random variation, which the test does not include."
    assert table.significance.caption.endswith(said)
    assert said not in result_table([ablation.root], reference="baseline/training_mean").significance.caption
    assert "no patient in common" not in to_markdown(table.significance_grid())
    other = result_table([ablation.root], reference="baseline/target:real").significance
    assert [row.title for row, _, _ in other.lines] == ["DS³ & co_1, student", "DS³ without maps"]
    assert "baseline/input:t1: not compared because it shares no metric with the reference" in other.notes
    assert "corrected for the 2 comparisons of a metric." in other.caption
