"""The children of a sweep, from its list or from their own folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantk.errors import GantkError, UsageError
from gantk.runs.sweeps import child_folder, children_of, sweep_head


def sweep(folder: Path, *ids: str) -> Path:
    for name in ids:
        child = child_folder(folder, name)
        child.mkdir(parents=True)
        (child / "child.json").write_text(json.dumps({"parent": "abl", "variant": name[0], "seed": 1}))
    return folder


def test_a_childs_folder_stays_in_the_sweep(tmp_path: Path) -> None:
    assert child_folder(tmp_path, "a-1") == tmp_path / "children" / "a-1"
    with pytest.raises(GantkError):
        child_folder(tmp_path, "../../a")


def test_folders_without_a_description_are_no_children(tmp_path: Path) -> None:
    sweep(tmp_path, "b-2", "a-1")
    (tmp_path / "children" / "stray").mkdir()
    assert [path.name for path in children_of(tmp_path)] == ["a-1", "b-2"]


def test_a_lost_list_is_made_of_the_children(tmp_path: Path) -> None:
    head = sweep_head(sweep(tmp_path, "a-1", "b-2"))
    assert head["name"] == "abl"
    assert head["children"] == [{"variant": "a", "seed": 1, "id": "a-1"}, {"variant": "b", "seed": 1, "id": "b-2"}]


@pytest.mark.parametrize("text", ["{", "[]", '{"children": [1]}', '{"children": [{"seed": 1}]}', "\x00"])
def test_a_damaged_list_is_said(text: str, tmp_path: Path) -> None:
    (sweep(tmp_path, "a-1") / "sweep.json").write_text(text)
    with pytest.raises(UsageError, match=r"damaged.*finished runs are kept"):
        sweep_head(tmp_path)


def test_a_folder_without_children_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder of a sweep"):
        sweep_head(tmp_path)
