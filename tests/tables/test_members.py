"""The runs of a sweep: their rows and names, and what is missing or damaged."""

import json

import pytest

from gantk.errors import EvaluationError, UsageError
from gantk.tables.grids import to_markdown
from gantk.tables.numbers import write_statistic
from gantk.tables.paper import result_table
from written_sweeps import COLUMNS, SweepFolder, evaluate, means, row_of


def test_rows_called_by_the_recipe(ablation):
    """As in the paper's Table 1, where the teacher of a run is a separate method."""
    rows = {"teacher": "DS³ (paired only)", "student": "DS³"}
    for entry in ablation.children[:3]:
        entry["report"] = rows
    (ablation.root / "sweep.json").write_text(json.dumps({"name": "x", "children": ablation.children}))
    table = result_table([ablation.root])
    assert [row.title for row in table.rows][:3] == ["DS³ (paired only)", "DS³", "DS³ without maps"]
    assert {row.label for row in table.rows[:2]} == {"DS³ & co_1"}
    assert row_of(table, "DS³").best == set(COLUMNS)
    assert result_table([ablation.root], roles=["teacher"]).rows[0].title == "DS³ (paired only)"
    assert "| DS³ (paired only) " in to_markdown(table.grid())
    tests = result_table([ablation.root], reference="DS³").significance
    assert tests.reference == "DS³"
    assert {row.title for row, _, _ in tests.lines} > {"DS³ (paired only)", "DS³ without maps"}


def test_named_rows_are_grouped_like_others(fractions):
    """Each value of the grid has its own best of the two."""
    for entry in fractions.children:
        if entry["variant"] == "only":
            entry["report"] = {"student": "without unpaired patients"}
    (fractions.root / "sweep.json").write_text(json.dumps({"name": "x", "children": fractions.children}))
    table = result_table([fractions.root])
    assert "without unpaired patients (paired fraction 5 %)" in [row.name for row in table.rows]
    assert "ssim" in row_of(table, "without unpaired patients (paired fraction 50 %)").best
    assert row_of(table, "DS³ (paired fraction 5 %)").best


def test_a_report_that_is_none_is_explained(ablation):
    ablation.children[0]["report"] = {"teacher": 3}
    (ablation.root / "sweep.json").write_text(json.dumps({"name": "x", "children": ablation.children}))
    with pytest.raises(EvaluationError, match="a row name for each role") as caught:
        result_table([ablation.root])
    assert str(caught.value.where).endswith("sweep.json")


def test_what_is_missing_is_named(ablation):
    children = ablation.root / "children"
    for path in (children / "bare-0" / "evaluation").iterdir():
        path.unlink()
    (children / "bare-0" / "status.json").write_text(
        '{"state": "failed", "message": "out of memory"}', encoding="utf-8"
    )
    (children / "bare-1" / "evaluation" / "patients.csv").write_text("nonsense\n1\n", encoding="utf-8")
    ablation.child("bare", 3)
    stale = children / "old-0"
    stale.mkdir()
    (stale / "child.json").write_text('{"variant": "old", "changes": {"run.seed": 0}}', encoding="utf-8")
    table = result_table([ablation.root])
    notes = "\n".join(table.notes)
    assert "DS³ without maps, seed 0 (bare-0): failed: out of memory" in notes
    assert "seed 1 (bare-1): unreadable evaluation" in notes
    assert "seed 3 (bare-3): not run yet" in notes
    assert "latest recipe does not list them: old-0" in notes
    assert "DS³ without maps: seeds 0, 1 missing" in notes
    row = row_of(table, "DS³ without maps")
    assert row.seeds == (2,)
    assert write_statistic(row.values["ssim"], table.digits["ssim"]) == f"{means('ssim', 0.8, [2])[0]:.4f}"
    assert "over the number of seeds given in each row" in table.caption
    assert "one seed has no deviation" in table.caption
    grid = table.grid()
    assert grid.header[:2] == ("method", "seeds")
    assert grid.words == 1
    assert [section_row[1].text for section in grid.sections for section_row in section] == ["3", "3", "1", "–", "–"]
    for note in table.notes:
        assert note.replace("_", r"\_") in to_markdown(grid)


def test_nothing_evaluated(tmp_path):
    sweep = SweepFolder(tmp_path / "empty", "[variants.a]")
    sweep.child("a", 0)
    with pytest.raises(EvaluationError, match=r"a-0.: not run yet"):
        result_table([sweep.root])
    with pytest.raises(UsageError):
        result_table([])


def test_damaged_sweep_says_where(ablation):
    (ablation.root / "sweep.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"sweep\.json"):
        result_table([ablation.root])


def test_without_sweep_json_the_children_tell(ablation):
    before = result_table([ablation.root])
    (ablation.root / "sweep.json").unlink()
    after = result_table([ablation.root])
    assert {row.title for row in after.rows} == {row.title for row in before.rows}


def test_runs_that_measure_other_baselines_are_seeds_of_one_row(tmp_path):
    for name, seed, measured in (("a", 0, 'baselines = ["input:t1"]'), ("b", 1, 'roles = ["student"]')):
        evaluate(tmp_path / name, {"student": 0.8}, seed, name="ds3")
        recipe = tmp_path / name / "recipe.toml"
        recipe.write_text(f"{recipe.read_text(encoding='utf-8')}\n[evaluation]\n{measured}\n", encoding="utf-8")
    (row,) = [row for row in result_table([tmp_path / name for name in "ab"]).rows if not row.baseline]
    assert (row.title, row.seeds) == ("ds3", (0, 1))


def test_ordinary_runs(tmp_path):
    for name, seed, fraction in (("a", 0, 0.05), ("b", 1, 0.05), ("c", 0, 0.1), ("d", 0, 0.05)):
        evaluate(tmp_path / name, {"teacher": 0.7, "student": 0.8 + fraction}, seed, fraction=fraction, name="ds3")
    table = result_table([tmp_path / name for name in "abcd"])
    assert [row.name for row in table.rows if not row.baseline] == [
        "ds3 (paired fraction 5 %)",
        "ds3 (paired fraction 10 %)",
    ]
    assert row_of(table, "ds3 (paired fraction 5 %)").seeds == (0, 1)
    assert "d: left out because it has the same recipe and seed as a" in table.notes
    shown = result_table([tmp_path / name for name in "abc"], roles=["teacher"])
    assert {row.title for row in shown.rows if not row.baseline} == {"ds3, teacher"}
