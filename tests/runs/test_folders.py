"""Folders of runs: made whole, and found by what people type."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gantk.data.split import Split
from gantk.errors import UsageError
from gantk.runs.folders import Status, make_run_folder, recipe_to_measure, resolve_run, spoken

SPLIT = Split(("a",), (), ("b",), ("c",))


def run(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text('name = "x"\n')
    return folder


def test_a_new_folder_has_recipe_and_split_and_a_name_of_its_own(tmp_path: Path) -> None:
    first = make_run_folder("demo", 'name = "demo"\n', SPLIT, tmp_path / "runs")
    other = make_run_folder("demo", 'name = "demo"\n', SPLIT, tmp_path / "runs", lambda folder: (folder / "x").touch())
    assert re.fullmatch(r"demo-\d{8}-\d{6}-[0-9a-f]{4}", first.name)
    assert first.name != other.name
    assert (first / "recipe.toml").read_text() == 'name = "demo"\n'
    assert Split.from_csv(first / "split.csv") == SPLIT
    assert (other / "x").is_file()


def test_what_fails_while_it_is_filled_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        make_run_folder("demo", "", SPLIT, tmp_path / "runs", fail)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_run_is_found_by_path_id_and_the_start_of_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = run(tmp_path / "runs", "demo-1"), run(tmp_path / "runs", "demo-12")
    for text in (str(one), "runs/demo-1", "demo-1"):  # a whole id is no start of another
        assert resolve_run(text) == one
    assert resolve_run("demo-12", Path("runs")) == two
    with pytest.raises(UsageError, match="start of the ids of 2 runs"):
        resolve_run("demo")
    with pytest.raises(UsageError, match=r"no run 'dem0-1'.*did you mean 'demo-1'"):
        resolve_run("dem0-1")
    assert spoken(one) == "demo-1"
    assert spoken(tmp_path / "elsewhere" / "demo-1") == str(tmp_path / "elsewhere" / "demo-1")


def test_a_trained_run_can_only_be_measured_otherwise(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'schedule' cannot change in a run that is trained"):
        recipe_to_measure(run(tmp_path, "demo-1"), ["schedule.epochs=3"])


def test_a_status_keeps_what_it_is_not_told_anew(tmp_path: Path) -> None:
    Status(tmp_path).update(state="running", step=1)
    status = Status(tmp_path)
    status.update(step=2)
    written = json.loads((tmp_path / "status.json").read_text())
    assert (written["state"], written["step"]) == ("running", 2)
    assert written["updated"] > 0
