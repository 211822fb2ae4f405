"""The table of a sweep: aggregation over seeds, groups, baselines, what is refused, forms of writing."""

import csv
import io
import json
import math
import re
import statistics

import pytest
from rich.console import Console

from gantk.data.split import Split
from gantk.errors import EvaluationError, UsageError
from gantk.evaluation.results import Evaluation
from gantk.tables.exports import to_csv, to_dict
from gantk.tables.grids import to_latex, to_markdown, to_rich
from gantk.tables.numbers import write_statistic
from gantk.tables.paper import reference_of, result_table
from gantk.tables.significance import with_tests
from written_sweeps import COLUMNS, evaluate, means, row_of


def test_over_seeds(ablation):
    table = result_table([ablation.root])
    assert [row.title for row in table.rows] == [
        "DS³ & co_1, teacher",
        "DS³ & co_1, student",
        "DS³ without maps",
        "baseline/input:t1",
        "baseline/training_mean",
    ]
    for title, mean in (("DS³ & co_1, student", 0.9), ("DS³ without maps", 0.8)):
        for name in COLUMNS:
            found = row_of(table, title).values[name]
            by_hand = means(name, mean, range(3))
            assert found.mean == pytest.approx(statistics.fmean(by_hand))
            assert found.std == pytest.approx(statistics.stdev(by_hand))
            assert found.n == 3
    assert table.spread == "seeds"
    assert "over 3 seeds (0, 1, 2) of the mean over 8 test patients (tumour: 7)" in table.caption
    assert "Split s1; evaluation settings e1" in table.caption
    assert row_of(table, "DS³ & co_1, student").best == set(COLUMNS)
    assert not row_of(table, "DS³ without maps").best
    assert table.keys == ()  # what makes a variant is said by its label
    baseline = row_of(table, "baseline/input:t1")
    assert baseline.baseline
    assert math.isnan(baseline.values["ssim"].std)
    assert write_statistic(baseline.values["ssim"], table.digits["ssim"]) == f"{means('ssim', 0.5, [99])[0]:.4f}"
    told = json.loads(json.dumps(to_dict(table), allow_nan=False))
    for row in (row for row in told["rows"] if not row["baseline"]):
        by_seed = [values["ssim"] for values in row["by_seed"].values()]
        assert [int(seed) for seed in row["by_seed"]] == row["seeds"]
        if told["spread"] == "seeds":
            assert statistics.fmean(by_seed) == pytest.approx(row["values"]["ssim"]["mean"])


def test_paired_fractions_are_groups_as_in_the_paper(fractions):
    table = result_table([fractions.root])
    assert table.keys == ("data.paired_fraction",)
    assert [row.name for row in table.rows] == [
        "CUT",
        "DS³ (paired fraction 5 %)",
        "paired only (paired fraction 5 %)",
        "DS³ (paired fraction 50 %)",
        "paired only (paired fraction 50 %)",
        "Pix2Pix (paired fraction 100 %)",
        "baseline/input:t1",
        "baseline/training_mean (of CUT / Pix2Pix)",  # of one value by default, of the other by a change
        "baseline/training_mean (paired fraction 50 %)",
        "baseline/training_mean (paired fraction 5 %)",
    ]
    assert row_of(table, "DS³ (paired fraction 5 %)").best
    assert "ssim" in row_of(table, "paired only (paired fraction 50 %)").best
    assert not row_of(table, "CUT").best  # without rivals
    assert "differ in the training or paired patients" in table.caption
    assert table.caption.count(",") >= 2
    grid = table.grid()
    assert [len(section) for section in grid.sections] == [1, 2, 2, 1, 4]
    assert table.differences == ()
    assert [row.title for row in result_table([fractions.root], by="none").rows[:2]] == ["CUT", "DS³"]


def test_splits_that_validate_on_others_compare(fractions):
    folder = next(iter(fractions.root.glob("children/ds3-0.5-0")))
    split = Split.from_csv(folder / "split.csv")
    moved = Split(split.paired, (*split.unpaired, "v"), ("t19",) if "t19" not in split.unpaired else ("w",), split.test)
    moved.to_csv(folder / "split.csv")
    evaluate(folder, {"student": 0.85}, 0, fraction=0.5, split=moved.hash)
    assert "have the same test patients" in result_table([fractions.root]).caption


def test_splits_that_test_others_are_refused(fractions):
    folder = next(iter(fractions.root.glob("children/ds3-0.5-0")))
    split = Split.from_csv(folder / "split.csv")
    moved = Split(split.paired, (*split.unpaired, split.test[0]), split.validation, split.test[1:])
    moved.to_csv(folder / "split.csv")
    evaluate(folder, {"student": 0.85}, 0, fraction=0.5, split=moved.hash)
    with pytest.raises(EvaluationError, match="different test patients") as error:
        result_table([fractions.root])
    assert moved.hash in str(error.value)
    forced = result_table([fractions.root], force=True)
    assert "NOT COMPARABLE: different test patients" in to_markdown(forced.grid())
    assert "test the same" not in forced.caption


def test_a_split_file_of_another_split_proves_nothing(fractions):
    folder = next(iter(fractions.root.glob("children/ds3-0.5-0")))
    evaluate(folder, {"student": 0.85}, 0, fraction=0.5, split="other")
    with pytest.raises(EvaluationError, match=r"other in ds3-0\.5-0"):
        result_table([fractions.root])


@pytest.mark.parametrize(("key", "said"), [("split", "different split"), ("settings", "different evaluation settings")])
def test_other_measures_are_refused_and_forced_with_a_warning(ablation, key, said):
    folder = ablation.root / "children" / "bare-1"
    evaluate(folder, {"teacher": 0.7, "student": 0.8}, 1, **{key: "zzz"})
    with pytest.raises(EvaluationError, match=said) as error:
        result_table([ablation.root])
    assert "zzz in bare-1" in str(error.value)
    assert "force" in str(error.value)
    table = result_table([ablation.root], force=True)
    assert to_dict(table)["comparable"] is False
    for text in (to_markdown(table.grid()), to_latex(table.grid())):
        assert f"NOT COMPARABLE: {said}" in text
    assert {line["comparable"] for line in csv.DictReader(io.StringIO(to_csv(table)))} == {"no"}


def test_other_patients_of_one_split_are_refused(ablation):
    folder = ablation.root / "children" / "bare-1" / "evaluation"
    whole = Evaluation.read(folder)
    Evaluation(whole.split, whole.settings, whole.columns, [r for r in whole.rows if r.patient != "p3"]).write(folder)
    with pytest.raises(EvaluationError, match="different patients of one split"):
        result_table([ablation.root])


def test_selection(ablation):
    table = result_table([ablation.root], regions=["tumour"], metrics=["SSIM"], roles=["student"])
    assert list(table.columns) == ["ssim_tumour"]
    assert "DS³ & co_1" in [row.title for row in table.rows]
    for wrong in ({"regions": ["tumor"]}, {"metrics": ["sim"]}, {"roles": ["studnt"]}, {"by": "data.x"}):
        with pytest.raises(UsageError):
            result_table([ablation.root], **wrong)


def test_markdown(fractions):
    text = to_markdown(result_table([fractions.root]).grid())
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1  # aligned
    assert re.fullmatch(r"\|( -+ \|){2}( -+: \|){3}", lines[1])
    assert "SSIM tumour ↑" in lines[0]
    assert re.search(r"\| 5 % +\| DS³ +\| \*\*\d\.\d{4} ± \d\.\d{4}\*\* \|", text)


def test_latex_has_the_papers_shape(fractions):
    text = to_latex(*result_table([fractions.root]).grids())
    assert text.startswith("% needs \\usepackage{booktabs}\n")
    assert [title for title in ("whole image.", "tumour.") if title in text] == ["whole image.", "tumour."]
    assert text.count(r"\begin{table}") == 2  # one per region
    assert text.count(r"\midrule") == 10
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {3}
    assert rows[0] == r"paired fraction & method & SSIM $\uparrow$ & MSE $\downarrow$ \\"
    second = next(row for row in rows if "paired only" in row)
    assert second.startswith(" & paired only")  # 5 % is said once
    assert r"DS\textsuperscript{3} & \textbf{0." in text
    assert text.count("{") == text.count("}")


def test_terminal_has_a_table_per_region(ablation):
    grids = result_table([ablation.root]).grids()
    assert [grid.title for grid in grids] == ["table2: a test: whole image", "table2: a test: tumour"]
    console = Console(width=100, record=True, file=io.StringIO(), color_system="standard", force_terminal=True)
    console.print(*map(to_rich, grids))
    text = console.export_text(styles=True)
    best = f"{statistics.fmean(means('ssim', 0.9, range(3))):.4f} ±"
    assert re.search(rf"\x1b\[1m *{re.escape(best)}", text)
    assert text.count("Mean ±") == 1


def test_the_recipes_reference(ablation):
    assert reference_of([ablation.root]) is None
    head = {"name": "x", "children": ablation.children}
    for said, found in (("DS³ without maps", "DS³ without maps"), (3, None), ([], None), ("", None)):
        (ablation.root / "sweep.json").write_text(json.dumps(head | {"reference": said}))
        assert reference_of([ablation.root, ablation.root / "children" / "bare-0"]) == found
    table = result_table([ablation.root])
    assert with_tests(table, "DS³ without maps").significance.reference == "DS³ without maps"
    unknown = with_tests(table, "DS³ without map")
    assert unknown.significance is None
    assert unknown.notes[-1].startswith("Nothing was tested: reference: no row is called 'DS³ without map'; ")
