"""A table of results as data: its rows over seeds and patients, its grids, and words of keys and values."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from gantk.evaluation.results import Column, Statistic
from gantk.evaluation.subjects import Subjects
from gantk.tables.model import (
    Significance,
    Table,
    TableRow,
    digits_of,
    grouped,
    identity,
    key_title,
    title_of,
    written,
)
from gantk.tables.statistics import PairedDifference

COLUMNS = {"ssim": Column("SSIM", "image", True), "ssim_tumour": Column("SSIM", "tumour", True)}


def row(name: str, mean: float, seeds: tuple[int, ...] = (0, 1), **more: Any) -> TableRow:
    by_seed = {s: {c: {"p": mean + s / 10, "q": math.nan if s else mean} for c in COLUMNS} for s in seeds}
    return TableRow(name, name, name, {c: Statistic(mean, 0.01, 2) for c in COLUMNS}, by_seed, **more)


def table(*rows: TableRow, **more: Any) -> Table:
    return Table("abl", COLUMNS, rows, Subjects(), **more)


def test_a_patients_value_is_the_mean_over_seeds_and_none_where_one_has_none() -> None:
    found = row("a", 0.5, (0, 1, 2)).patients()
    assert found["ssim"]["p"] == pytest.approx(0.6)
    assert math.isnan(found["ssim"]["q"])
    assert row("a", 0.5, (0, 1, 2)).patients([0])["ssim"] == {"p": 0.5, "q": 0.5}


def test_one_grid_for_each_region_with_caption_and_notes_below_the_last() -> None:
    made = table(row("a", 0.9), row("b", 0.8), caption="over seeds", notes=("one is missing",))
    whole, tumour = made.grids()
    assert (whole.title, tumour.title) == ("abl: whole image", "abl: tumour")
    assert whole.header == tumour.header, "the title names the region"
    assert (whole.caption, whole.notes) == ("", ())
    assert (tumour.caption, tumour.notes) == ("over seeds", ("one is missing",))
    assert made.grid().title == "abl"
    assert made.grid().header != whole.header


def test_seeds_are_a_column_where_rows_have_not_the_same() -> None:
    even = table(row("a", 0.9), row("b", 0.8), row("base", 0.5, (), baseline=True), spread="seeds")
    assert "seeds" not in even.grid().header
    uneven = replace(even, rows=(row("a", 0.9), row("b", 0.8, (0,)), row("base", 0.5, (), baseline=True)))
    grid = uneven.grid()
    place = grid.header.index("seeds")
    assert [line[place].text for part in grid.sections for line in part] == ["2", "1", "–"]


def test_the_best_is_bold_and_a_baseline_that_is_not_beaten_is_marked() -> None:
    rows = row("a", 0.9, best=frozenset({"ssim"})), row("base", 0.91, unbeaten=frozenset({"ssim"}), baseline=True)
    first, second = (line for part in table(*rows).grid().sections for line in part)
    assert [cell.best for cell in first] == [False, True, False]
    assert second[1].text.startswith("† 0.910")
    assert not second[2].text.startswith("†")


def test_keys_stand_before_the_method_and_groups_are_sections() -> None:
    rows = [row("a", 0.9, changes={"data.paired_fraction": f}, group=str(f)) for f in (0.5, 0.05)]
    grid = table(*rows, row("b", 0.8), keys=("data.paired_fraction",)).grid()
    assert grid.header[:2] == ("paired fraction", "method")
    assert [[line[0].text for line in part] for part in grid.sections] == [["50 %"], ["5 %"], ["–"]]


def test_differences_from_a_reference_with_their_remarks() -> None:
    a, b = row("a", 0.9), row("b", 0.8)
    line = {
        "ssim": PairedDifference(6, 0.1, 0.05, 0.15, 0.03, 0.06),
        "ssim_tumour": PairedDifference(2, -0.2, remarks=("too few",)),
    }
    found = table(a, b, significance=Significance("b", ((a, b, line),), "paired")).significance_grid()
    assert found is not None
    assert found.title == "Difference from b"
    first, second = ([cell.text for cell in cells] for cells in found.sections[0])
    assert first[:5] == ["a", "SSIM ↑", "6", "+0.100", "[+0.050, +0.150]"]
    assert second[2:5] == ["2 a", "−0.200", "–"]
    assert found.notes == ("a: too few",)
    assert table(a, b).significance_grid() is None
    nothing = Significance("b", (), "paired")
    assert table(a, b, significance=nothing).significance_grid() is None


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("maps.m.enabled", True, "yes"),
        ("data.paired_fraction", 0.05, "5 %"),
        ("data.paired_fraction", 3, "3"),
        ("losses.l.weight", 0.25, "0.25"),
        ("losses.l.use", "l1", "l1"),
        ("data.crop", [32, 48], "[32, 48]"),
    ],
)
def test_values_of_keys_for_readers(key: str, value: object, said: str) -> None:
    assert written(key, value) == said


def test_keys_are_called_by_their_last_part_unless_two_end_alike() -> None:
    assert key_title("losses.l.weight", ["losses.l.weight", "run.seed"]) == "weight"
    assert key_title("losses.l.weight", ["losses.l.weight", "losses.k.weight"]) == "losses.l.weight"
    said = title_of(row("a", 0.9, changes={"run.seed": 3, "data.crop": [8, 8]}), ["run.seed", "data.spacing"])
    assert said == "a (seed 3)"


def test_rows_of_one_value_come_together() -> None:
    rows = [row(n, 0.5, changes=c) for n, c in (("a", {"x": [1]}), ("b", {}), ("c", {"x": [1]}))]
    assert [[r.name for r in group] for group in grouped(rows, "x")] == [["a", "c"], ["b"]]
    assert [[r.name for r in group] for group in grouped(rows, None)] == [["a", "b", "c"]]
    assert identity({"b": 1, "a": 2}) == identity({"a": 2, "b": 1})


def test_the_largest_mean_decides_a_columns_decimals() -> None:
    rows = [row("a", 9.8), row("b", 25.0)]
    assert digits_of(rows, ["ssim"]) == {"ssim": 1}
    assert digits_of(rows[:1], ["ssim"]) == {"ssim": 2}
