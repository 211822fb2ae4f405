"""Names of runs, metrics and pictures in MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gantk.tracking.folder import RunFolder
from gantk.tracking.names import child_name, metric_name, panel_name, results, run_name

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


def test_names_bring_forward_what_matters(make_run: Make) -> None:
    """MLflow's interface sorts by name, like `sorted`, and shows the part before the last `/` as a section."""
    made = make_run("names")
    roles = "".join(f"[translators.{role}]\n" for role in ("teacher", "student"))
    (made.path / "recipe.toml").write_text(f'predict = "student"\n{roles}')
    methods = ("teacher", "student", "input:t1", "training_mean", "target:real")
    one = {"ssim": {"mean": 0.5, "n": 1}, "psnr": {"mean": None, "n": 0}}
    (made.path / "evaluation").mkdir()
    (made.path / "evaluation" / "summary.json").write_text(json.dumps({"methods": dict.fromkeys(methods, one)}))
    journal = ["rate/student/generator", "rate/teacher/heads", "train/student/adversarial (D)"]
    journal += [f"{kind}/{role}" for kind in ("train", "validation") for role in ("teacher/a", "student/a")]
    names = [*results(RunFolder(made.path)), *map(metric_name, journal), panel_name("validation")]
    assert sorted(names) == [
        "baseline/input:t1/ssim",
        "baseline/target:real/ssim",
        "baseline/training_mean/ssim",
        "test/ssim",
        "test/teacher/ssim",
        "train/student/a",
        "train/student/adversarial D",
        "train/student/rate generator",
        "train/teacher/a",
        "train/teacher/rate heads",
        "validation/panels",
        "validation/student/a",
        "validation/teacher/a",
    ]
    sections = [name.rpartition("/")[0] for name in sorted(names)]
    assert list(dict.fromkeys(sections)) == sorted(set(sections))  # no section is torn apart


@pytest.mark.parametrize(
    ("variant", "changes", "name"),
    [
        ("study", {"losses.a.weight": 10, "run.seed": 2}, "weight 10, seed 2"),
        ("bare", {"data.paired_fraction": 0.05}, "bare, 5 %"),
        ("study", {}, "study-0a1f2b3c"),
    ],
)
def test_a_child_is_called_by_what_it_changes(tmp_path: Path, variant: str, changes: dict, name: str) -> None:
    child = tmp_path / "study" / "children" / "study-0a1f2b3c"
    child.mkdir(parents=True)
    (tmp_path / "study" / "sweep.json").write_text("{}")
    (child / "child.json").write_text(json.dumps({"parent": "study", "variant": variant, "changes": changes}))
    assert child_name(RunFolder(child)) == name


def test_run_names_differ_at_their_beginning() -> None:
    assert run_name("ds3_semi-x-20260302-141500-0a1f") == "0a1f ds3_semi-x 03-02 14:15"
    assert run_name("full-seed-0-0a1f2b3c") == "full-seed-0-0a1f2b3c"
