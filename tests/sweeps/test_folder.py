"""A sweep's folder: what is written is what is read, and damage is said in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantk.errors import UsageError
from gantk.recipe.variants import Sweep, load_sweep
from gantk.sweeps.folder import write, written

SWEEP = """
extends = "{base}"
name = "named"

[variants.full]
label = "Full"
report = {{ teacher = "Full (paired only)", student = "Full" }}

[variants.flat]
report = ["teacher", "student"]
"maps.difficulty.enabled" = false

[variants.plain]
"schedule.joint_epochs" = 1
"""


@pytest.fixture
def sweep(recipe: Path, tmp_path: Path) -> Sweep:
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP.format(base=recipe.as_posix()), encoding="utf-8")
    return load_sweep(path)


def test_children_come_back_as_they_were(sweep: Sweep, tmp_path: Path) -> None:
    folder = tmp_path / "named"
    write(folder, sweep)
    children, table = written(folder)
    assert children == list(sweep.children)
    assert table == sweep.table
    said = [child["report"] for child in json.loads((folder / "sweep.json").read_text())["children"]]
    rows = {"teacher": "Full (paired only)", "student": "Full"}
    assert said == [rows, ["teacher", "student"], ["student"]]
    for child, report in zip(children, said, strict=True):
        assert json.loads((folder / "children" / child.id / "child.json").read_text())["report"] == report
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    write(folder, sweep)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")} == before


def test_the_row_of_reference_is_told_and_trains_nothing_anew(sweep: Sweep, tmp_path: Path) -> None:
    folder = tmp_path / "named"
    write(folder, sweep)
    plain = json.loads((folder / "sweep.json").read_text())
    assert "reference" not in plain
    sweep.path.write_text('reference = "Full"\n' + sweep.path.read_text())
    write(folder, load_sweep(sweep.path))
    assert json.loads((folder / "sweep.json").read_text()) == plain | {"reference": "Full"}


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("sweep.json", '"variant"', '"varient"', "KeyError: 'variant'"),
        ("sweep.json", '"report": {', '"report": 3, "was": {', "a list of roles"),
        ("recipe.toml", "[variants", "[[variants", "TOMLDecodeError"),
        ("recipe.toml", None, None, "FileNotFoundError"),
    ],
)
def test_damage_is_explained(sweep: Sweep, tmp_path: Path, file: str, old: str | None, new: str, said: str) -> None:
    folder = tmp_path / "named"
    write(folder, sweep)
    path = folder / file
    if old is None:
        path.unlink()
    else:
        path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UsageError, match="damaged") as caught:
        written(folder)
    assert said in str(caught.value)
    assert caught.value.where == str(folder)
