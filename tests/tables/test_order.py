"""Rows: best, grouped, told apart."""

import json

from gantk.tables.paper import result_table
from written_sweeps import COLUMNS, SweepFolder, evaluate, row_of


def test_equal_means_are_all_best(tmp_path):
    sweep = SweepFolder(tmp_path / "ties", "[variants.a]\n[variants.b]", '"run.seed" = [0]')
    for variant in "ab":
        evaluate(sweep.child(variant, 0), {"student": 0.8}, 0)
    rows = result_table([sweep.root]).rows
    assert rows[0].best == rows[1].best == set(COLUMNS)


def test_means_that_are_written_alike_are_all_best(tmp_path):
    sweep = SweepFolder(tmp_path / "ties", "[variants.a]\n[variants.b]\n[variants.c]", '"run.seed" = [0]')
    for variant, value in (("a", 0.8), ("b", 0.8 + 1e-7), ("c", 0.7)):
        evaluate(sweep.child(variant, 0), {"student": value}, 0)
    table = result_table([sweep.root])
    assert ["ssim" in row.best for row in table.rows[:3]] == [True, True, False]


def test_bold_is_decided_over_common_seeds(ablation):
    """On seed 0, which both have, `full` is better; alone on its seed, `bare` looks better than the mean of both."""
    children = ablation.root / "children"
    for seed, full in ((0, 0.9), (1, 0.5)):
        evaluate(children / f"full-{seed}", {"teacher": 0.1, "student": full}, seed)
    evaluate(children / "bare-0", {"student": 0.8}, 0)
    for gone in ("full-2", "bare-1", "bare-2"):
        (children / gone / "evaluation" / "summary.json").unlink()
    table = result_table([ablation.root])
    full, bare = row_of(table, "DS³ & co_1, student"), row_of(table, "DS³ without maps")
    assert bare.values["ssim"].mean > full.values["ssim"].mean
    assert full.best == set(COLUMNS)
    assert not bare.best
    assert "Bold is decided over seed 0 only, which all methods have" in table.notes


def test_without_a_common_seed_nothing_is_bold(fractions):
    for gone in ("ds3-0.5-0", "only-0.5-1"):
        (fractions.root / "children" / gone / "evaluation" / "summary.json").unlink()
    table = result_table([fractions.root])
    assert {row.title for row in table.rows if row.best} == {"DS³"}
    assert row_of(table, "DS³ (paired fraction 5 %)").best == set(COLUMNS)
    assert "No bold for paired fraction 50 %: the methods have no seed in common" in table.notes


def test_variants_of_one_label_are_told_apart(ablation):
    recipe = ablation.root / "recipe.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("DS³ without maps", "DS³ & co_1"), encoding="utf-8")
    for entry in ablation.children:
        entry["report"] = ["student"]
    (ablation.root / "sweep.json").write_text(json.dumps({"name": "x", "children": ablation.children}))
    assert [row.title for row in result_table([ablation.root]).rows][:2] == ["DS³ & co_1 (full)", "DS³ & co_1 (bare)"]


def test_rows_of_one_label_and_change_are_told_apart(fractions):
    recipe = fractions.root / "recipe.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace('"paired only"', '"DS³"'), encoding="utf-8")
    rows = [row for row in result_table([fractions.root]).rows if row.label == "DS³"]
    assert {row.title for row in rows} == {"DS³ (ds3)", "DS³ (only)"}
