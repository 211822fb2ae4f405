"""Captions say over what a spread is."""

from gantk.tables.captions import undecided, uneven
from gantk.tables.paper import result_table
from written_sweeps import SweepFolder, evaluate, row_of


def test_one_seed_says_that_the_spread_is_over_patients(tmp_path):
    sweep = SweepFolder(tmp_path / "one", '[variants.a]\n[variants.b]\nlabel = "B"', '"run.seed" = [4]')
    for variant, mean in (("a", 0.8), ("b", 0.9)):
        evaluation = evaluate(sweep.child(variant, 4), {"student": mean}, 4)
    table = result_table([sweep.root])
    assert [row.title for row in table.rows][:2] == ["a", "B"]
    assert row_of(table, "B").values["ssim_tumour"] == evaluation.summary["student"]["ssim_tumour"]
    assert row_of(table, "B").values["ssim_tumour"].n == 7
    assert "One run per row (seed 4): mean ± sample standard deviation over 8 test patients" in table.caption
    assert "not over seeds" in table.caption
    assert table.spread == "patients"


def test_rows_with_fewer_seeds_are_named(ablation):
    (ablation.root / "children" / "bare-2" / "evaluation" / "summary.json").unlink()
    table = result_table([ablation.root])
    rows = [row for row in table.rows if not row.baseline]
    assert list(uneven(rows, "seeds")) == ["DS³ without maps: seed 2 missing"]
    assert list(uneven(rows, "patients")) == []  # a single run each: there is nothing to lack
    assert list(undecided(rows, None)) == ["Bold is decided over seeds 0, 1 only, which all methods have"]
    assert list(undecided([row for row in rows if row.label == "DS³ & co_1"], None)) == []
