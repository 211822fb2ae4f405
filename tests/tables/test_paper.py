"""The table of a sweep: aggregation over seeds, best, groups, baselines, what is missing, forms of writing."""

import csv
import io
import json
import math
import re
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from gantk.data.split import Split
from gantk.errors import EvaluationError, UsageError
from gantk.evaluation.results import Column, Evaluation, Row, Statistic
from gantk.tables.exports import to_csv, to_dict
from gantk.tables.grids import to_latex, to_markdown, to_rich
from gantk.tables.model import Table, TableRow
from gantk.tables.numbers import write_statistic
from gantk.tables.paper import reference_of, result_table
from gantk.tables.significance import significance, with_tests
from gantk.tables.statistics import paired_difference

COLUMNS = {
    "ssim": Column("SSIM", "image", True),
    "mse": Column("MSE", "image", False),
    "ssim_tumour": Column("SSIM", "tumour", True),
}
PATIENTS = [f"p{i}" for i in range(8)]
RECIPE = """name = "{name}"
predict = "student"
[run]
seed = {seed}
[data]
paired_fraction = {fraction}
[translators.teacher]
[translators.student]
"""


def values(mean: float, seed: int) -> dict[str, dict[str, float]]:
    """By patient and column; the first patient has no tumour."""
    noise = np.random.default_rng([seed, round(mean * 1e6)]).normal(0, 0.01, (len(PATIENTS), 3))
    return {
        p: {
            "ssim": mean + a,
            "mse": 0.1 * (1 - mean) + 0.01 * abs(b),
            "ssim_tumour": math.nan if i == 0 else mean / 2 + c,
        }
        for i, (p, (a, b, c)) in enumerate(zip(PATIENTS, noise, strict=True))
    }


def evaluate(
    folder: Path, methods: dict[str, float], seed: int, *, fraction: float = 0.05, name: str = "r", **hashes: str
) -> Evaluation:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(RECIPE.format(name=name, seed=seed, fraction=fraction), encoding="utf-8")
    (folder / "status.json").write_text('{"state": "finished"}', encoding="utf-8")
    found = {method: values(mean, seed) for method, mean in methods.items()}
    found["input:t1"] = values(0.5, 99)
    found["training_mean"] = values(0.3 + fraction / 10, 98)
    rows = [Row(p, method, 5, by_patient[p]) for p in PATIENTS for method, by_patient in found.items()]
    evaluation = Evaluation(hashes.get("split", "s1"), hashes.get("settings", "e1"), COLUMNS, rows)
    evaluation.write(folder / "evaluation")
    return evaluation


class SweepFolder:
    """A sweep as it lies on disk, built by hand."""

    def __init__(self, root: Path, variants: str, grid: str = '"run.seed" = [0, 1, 2]') -> None:
        self.root = root
        self.children: list[dict] = []
        root.mkdir(parents=True)
        text = f'name = "{root.name}"\ndescription = "a test"\n{variants}\n[sweep]\n{grid}\n'
        (root / "recipe.toml").write_text(text, encoding="utf-8")

    def child(self, variant: str, seed: int, changes: dict | None = None, **more) -> Path:
        changes = {**(changes or {}), "run.seed": seed}
        id_ = "-".join([variant, *(str(value) for value in changes.values())])
        entry = {"id": id_, "variant": variant, "changes": changes, "label": f"{variant}, with values", **more}
        self.children.append(entry)
        folder = self.root / "children" / id_
        folder.mkdir(parents=True)
        (folder / "child.json").write_text(json.dumps({"parent": self.root.name} | entry), encoding="utf-8")
        head = {"name": self.root.name, "description": "a test", "recipe": "x.toml", "children": self.children}
        (self.root / "sweep.json").write_text(json.dumps(head), encoding="utf-8")
        return folder


@pytest.fixture
def ablation(tmp_path: Path) -> SweepFolder:
    """Table 2: two rows of one variant, one of another, over three seeds."""
    variants = (
        '[variants.full]\nlabel = "DS³ & co_1"\nreport = ["teacher", "student"]\n'
        '[variants.bare]\nlabel = "DS³ without maps"\n"maps.difficulty.enabled" = false\n'
    )
    sweep = SweepFolder(tmp_path / "table2", variants)
    for variant, student in (("full", 0.9), ("bare", 0.8)):
        for seed in range(3):
            evaluate(sweep.child(variant, seed), {"teacher": 0.7, "student": student}, seed)
    return sweep


@pytest.fixture
def fractions(tmp_path: Path) -> SweepFolder:
    """Table 1: two methods over paired fractions, one with its own, one without any; each with its own split."""
    variants = (
        '[variants.cut]\nlabel = "CUT"\n[variants.ds3]\nlabel = "DS³"\n'
        '[variants.only]\nlabel = "paired only"\n'
        '[variants.pix2pix]\nlabel = "Pix2Pix"\nsweep = { "data.paired_fraction" = [1.0] }\n'
    )
    sweep = SweepFolder(tmp_path / "table1", variants, '"data.paired_fraction" = [0.5, 0.05]\n"run.seed" = [0, 1]')
    training = [f"t{i}" for i in range(20)]

    def run(variant: str, changes: dict, mean: float) -> None:
        fraction = changes.get("data.paired_fraction", 1.0)
        paired = round(20 * fraction)
        split = Split(tuple(training[:paired]), tuple(training[paired:]), ("v",), tuple(PATIENTS))
        for seed in range(2):
            folder = sweep.child(variant, seed, changes)
            evaluate(folder, {"student": mean}, seed, fraction=fraction, split=split.hash)
            split.to_csv(folder / "split.csv")

    run("cut", {}, 0.6)
    for variant, means in (("ds3", (0.85, 0.8)), ("only", (0.86, 0.7))):
        for fraction, mean in zip((0.5, 0.05), means, strict=True):
            run(variant, {"data.paired_fraction": fraction}, mean)
    run("pix2pix", {"data.paired_fraction": 1.0}, 0.88)
    return sweep


def row_of(table: Table, name: str) -> TableRow:
    (row,) = [row for row in table.rows if row.name == name]
    return row


def means(name: str, method_mean: float, seeds) -> list[float]:
    return [statistics.fmean(v for v in (p[name] for p in values(method_mean, s).values()) if v == v) for s in seeds]


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


def test_rows_called_by_the_recipe(ablation):
    """As in the paper's Table 1, where the teacher of a run is a method of its own."""
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
    with pytest.raises(EvaluationError, match="names of their rows") as caught:
        result_table([ablation.root])
    assert str(caught.value.where).endswith("sweep.json")


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
    assert "differ in those that are trained on or paired" in table.caption
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
    assert "test the same patients" in result_table([fractions.root]).caption


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
    assert "as it was run last: old-0" in notes
    assert "DS³ without maps: without seeds 0, 1" in notes
    row = row_of(table, "DS³ without maps")
    assert row.seeds == (2,)
    assert write_statistic(row.values["ssim"], table.digits["ssim"]) == f"{means('ssim', 0.8, [2])[0]:.4f}"
    assert "as many seeds as the row says" in table.caption
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


def test_a_baseline_that_is_better_is_said(ablation):
    for variant in ("full", "bare"):
        for seed in range(3):
            evaluate(ablation.root / "children" / f"{variant}-{seed}", {"teacher": 0.2, "student": 0.4}, seed)
    notes = result_table([ablation.root]).notes
    assert (
        "† copying the t1 (baseline/input:t1) scores better than the best method in SSIM ↑, MSE ↓, SSIM tumour ↑"
        in notes
    )
    for variant in ("full", "bare"):
        folder = ablation.root / "children" / f"{variant}-0" / "evaluation"
        (folder / "weights.json").write_text(
            f'{{"difficulty": {{"tumour": 0.9, "brain": {1 if variant == "full" else 0.8}}}}}'
        )
    said = "weight map difficulty is lower in the tumor than in healthy brain in 1 of 2 runs (ratio 0.90)"
    assert said in result_table([ablation.root]).notes


def test_ordinary_runs(tmp_path):
    for name, seed, fraction in (("a", 0, 0.05), ("b", 1, 0.05), ("c", 0, 0.1), ("d", 0, 0.05)):
        evaluate(tmp_path / name, {"teacher": 0.7, "student": 0.8 + fraction}, seed, fraction=fraction, name="ds3")
    table = result_table([tmp_path / name for name in "abcd"])
    assert [row.name for row in table.rows if not row.baseline] == [
        "ds3 (paired fraction 5 %)",
        "ds3 (paired fraction 10 %)",
    ]
    assert row_of(table, "ds3 (paired fraction 5 %)").seeds == (0, 1)
    assert "d: left out, the same recipe and seed as a" in table.notes
    shown = result_table([tmp_path / name for name in "abc"], roles=["teacher"])
    assert {row.title for row in shown.rows if not row.baseline} == {"ds3, teacher"}


def test_selection(ablation):
    table = result_table([ablation.root], regions=["tumour"], metrics=["SSIM"], roles=["student"])
    assert list(table.columns) == ["ssim_tumour"]
    assert "DS³ & co_1" in [row.title for row in table.rows]
    for wrong in ({"regions": ["tumor"]}, {"metrics": ["sim"]}, {"roles": ["studnt"]}, {"by": "data.x"}):
        with pytest.raises(UsageError):
            result_table([ablation.root], **wrong)


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
    assert "CUT: not compared, no paired only has the same paired fraction" in notes
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
    assert "DS³ & co_1, student: compared over the common seeds 0, 1 alone" in table.significance.notes
    _, _, found = table.significance.lines[1]
    own, against = (
        statistics.fmean(values(mean, seed)[p]["ssim"] for seed in range(2) for p in PATIENTS) for mean in (0.9, 0.8)
    )
    assert found["ssim"].mean == pytest.approx(own - against)


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


def test_csv(fractions):
    table = result_table([fractions.root], reference="paired only (paired fraction 5 %)")
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert len(lines) == len(table.rows)
    line = next(x for x in lines if x["label"] == "DS³" and x["data.paired_fraction"] == "0.05")
    assert float(line["ssim_mean"]) == row_of(table, "DS³ (paired fraction 5 %)").values["ssim"].mean
    assert (line["ssim_n"], line["std_over"], line["seeds"], line["comparable"]) == ("2", "seeds", "0 1", "yes")
    assert float(line["ssim_low"]) <= float(line["ssim_difference"]) <= float(line["ssim_high"])
    assert line["ssim_tumour_patients"] == "7"
    reference = next(x for x in lines if x["label"] == "paired only" and x["data.paired_fraction"] == "0.05")
    assert reference["ssim_difference"] == ""
    assert next(x for x in lines if x["label"] == "CUT")["data.paired_fraction"] == ""


def test_terminal_has_a_table_per_region(ablation):
    grids = result_table([ablation.root]).grids()
    assert [grid.title for grid in grids] == ["table2: a test: whole image", "table2: a test: tumour"]
    console = Console(width=100, record=True, file=io.StringIO(), color_system="standard", force_terminal=True)
    console.print(*map(to_rich, grids))
    text = console.export_text(styles=True)
    best = f"{statistics.fmean(means('ssim', 0.9, range(3))):.4f} ±"
    assert re.search(rf"\x1b\[1m *{re.escape(best)}", text)
    assert text.count("Mean ±") == 1


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
    assert any(note.endswith("seed 1, the reference 0") for note in tests.notes)
    alone = result_table(runs[:1], roles=["student"])
    bare = replace(alone, rows=tuple(row for row in alone.rows if not row.baseline))
    with pytest.raises(UsageError, match=r"no row can be compared.*no other row"):
        significance(bare, bare.rows[0].name)


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
    assert "Bold is decided over seed 0 alone, which all its methods have" in table.notes


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
    said = "For Dice, the training of a network is a further source of chance, which the test does not see."
    assert table.significance.caption.endswith(said)
    assert said not in result_table([ablation.root], reference="baseline/training_mean").significance.caption
    assert "no patient in common" not in to_markdown(table.significance_grid())
    other = result_table([ablation.root], reference="baseline/target:real").significance
    assert [row.title for row, _, _ in other.lines] == ["DS³ & co_1, student", "DS³ without maps"]
    assert "baseline/input:t1: not compared, it has no metric that the reference has, too" in other.notes
    assert "corrected for the 2 comparisons of a metric." in other.caption


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
    assert any("Without folds 2, 3" in note for note in table.notes)


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
