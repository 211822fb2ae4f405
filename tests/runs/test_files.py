"""A run's folder is read although files are damaged: from a checkpoint where possible, and what is damaged is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gantk.data.split import Split
from gantk.errors import DataError, GantkWarning, RecipeError
from gantk.files import sealed
from gantk.runs.files import RunFiles, is_run, is_sweep, last_step, missing_settings, runs_in, warn_of_damage
from gantk.runs.lines import written

SPLIT = Split(("a", "b"), ("c",), ("d",), ("e", "f"))
RECIPE = 'name = "r"\n\n[run]\nseed = 3\n\n[evaluation]\nbatch = 4\n'
PLUGINS = [{"name": "mine", "version": "1", "distribution": "mine-dist"}]


def checkpoint(folder: Path, step: int = 10) -> None:
    place = folder / "checkpoints" / f"step-{step:08d}"
    place.mkdir(parents=True)
    facts = {"recipe": RECIPE, "position": {"total": step}, "plugins": PLUGINS}
    facts["split"] = SPLIT.to_dict() | {"hash": SPLIT.hash}
    (place / "checkpoint.json").write_text(json.dumps(sealed(facts)))


def line(seq: int, step: int) -> bytes:
    return written({"seq": seq, "step": step, "epoch": 0, "stage": "s", "time": 1.0, "metrics": {}})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A whole run of ten steps."""
    folder = tmp_path / "r-1"
    checkpoint(folder)
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "status.json").write_text(json.dumps({"state": "finished", "split": SPLIT.hash, "step": 10}))
    (folder / "environment.json").write_text(json.dumps({"device": "cpu", "plugins": PLUGINS}))
    (folder / "metrics.jsonl").write_bytes(b"".join(line(n, n) for n in range(10)))
    SPLIT.to_csv(folder / "split.csv")
    return folder


def test_a_whole_run_is_read_as_it_is(run: Path) -> None:
    files = RunFiles(run)
    assert files.damages() == []
    assert files.recipe()["run"] == {"seed": 3}
    assert files.status()["state"] == "finished"
    assert files.plugins == PLUGINS
    assert files.split() == SPLIT
    assert files.split_hash == SPLIT.hash


def test_a_run_that_has_not_begun_is_not_damaged(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    assert files.damages() == []
    assert (files.status(), files.environment(), files.plugins) == ({}, {}, [])
    assert (files.recipe_text(), files.split(), files.split_hash, files.checkpoint) == ("", None, None, {})


FILES = ("recipe.toml", "status.json", "environment.json", "split.csv", "metrics.jsonl")


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"\xff\x00{")])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_taken_from_the_checkpoint(
    run: Path, name: str, damage: Callable[[Path], object]
) -> None:
    damage(run / name)
    files = RunFiles(run)
    (found,) = files.damages()
    assert str(found).startswith(f"{run / name} ")
    assert files.recipe_text() == RECIPE
    assert files.split() == SPLIT
    assert files.plugins == PLUGINS
    assert files.status()["step"] == 10
    assert files.status()["state"] == ("interrupted" if name == "status.json" else "finished"), "nothing was measured"


def test_a_recipe_that_was_cut_between_two_lines_is_no_recipe(run: Path) -> None:
    (run / "recipe.toml").write_text(RECIPE[: RECIPE.index("[evaluation]")])
    files = RunFiles(run)
    assert files.recipe()["evaluation"] == {"batch": 4}
    assert "is truncated (evaluation.batch is missing)" in str(files.damages()[0])
    (run / "recipe.toml").write_text(RECIPE.replace("batch = 4", "batch = 8"))
    files = RunFiles(run)
    assert files.damages() == [], "an evaluation may change"
    assert files.recipe()["evaluation"] == {"batch": 8}


def test_a_split_that_is_not_the_runs_is_none(run: Path) -> None:
    Split(("x",), ("c",), ("d",), ("e", "f")).to_csv(run / "split.csv")
    files = RunFiles(run)
    assert files.split() == SPLIT
    assert "is not the split that the run started with" in str(files.damages()[0])


def test_without_a_checkpoint_what_is_lost_is_an_error_that_says_so(run: Path) -> None:
    (run / "checkpoints" / "step-00000010" / "checkpoint.json").write_text("{}")
    (run / "recipe.toml").write_text("[")
    (run / "split.csv").write_text("x")
    with pytest.raises(RecipeError, match=r"the run's recipe cannot be read.*no checkpoint that contains it"):
        RunFiles(run).recipe_text()
    with pytest.raises(DataError, match=r"the run's split cannot be read.*no checkpoint that contains it"):
        RunFiles(run).split()
    assert RunFiles(run).split_hash == SPLIT.hash, "status.json has it too"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"".join(line(n, n) for n in range(8)), "is truncated: it ends after step 8 of 10"),
        (line(0, 0) + b"noise\n" + b"".join(line(n, n) for n in range(2, 10)), "is damaged in 1 of its 10 lines"),
        (line(0, 0) + b"".join(line(n, n) for n in range(3, 10)), "lacks lines: 8 of 10 are there"),
    ],
)
def test_a_journal_tells_what_it_lacks(run: Path, content: bytes, said: str) -> None:
    (run / "metrics.jsonl").write_bytes(content)
    assert said in str(RunFiles(run).damages()[0])
    with pytest.warns(GantkWarning, match=said.replace("(", r"\(")):
        warn_of_damage(run)


def test_the_newest_readable_checkpoint_counts(run: Path) -> None:
    checkpoint(run, 20)
    assert RunFiles(run).checkpoint["position"] == {"total": 20}
    path = run / "checkpoints" / "step-00000020" / "checkpoint.json"
    path.write_text(path.read_text().replace('"total": 20', '"total": 21'))
    assert RunFiles(run).checkpoint["position"] == {"total": 10}, "its seal is broken"


def test_what_a_resumed_run_needs_is_written_again(run: Path) -> None:
    (run / "recipe.toml").write_text("[")
    (run / "split.csv").unlink()
    before = (run / "metrics.jsonl").stat().st_mtime_ns
    RunFiles(run).mend(SPLIT)
    assert RunFiles(run).damages() == []
    assert (run / "recipe.toml").read_text() == RECIPE
    assert Split.from_csv(run / "split.csv") == SPLIT
    assert (run / "metrics.jsonl").stat().st_mtime_ns == before
    kept = (run / "recipe.toml").stat().st_mtime_ns
    RunFiles(run).mend(SPLIT)
    assert (run / "recipe.toml").stat().st_mtime_ns == kept, "what is whole stays"


def test_runs_and_sweeps_are_recognized_although_damaged(run: Path, tmp_path: Path) -> None:
    (run / "recipe.toml").unlink()
    assert is_run(run)
    sweep = tmp_path / "abl"
    child = sweep / "children" / "full-0"
    child.mkdir(parents=True)
    assert not is_sweep(sweep)
    (child / "child.json").write_text("{}")
    assert is_sweep(sweep)
    assert is_run(sweep)
    (child / "recipe.toml").write_text(RECIPE)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "recipe.toml").touch()
    assert runs_in(tmp_path) == [sweep, child, run]


def test_the_last_step_is_that_of_the_last_whole_line(run: Path) -> None:
    assert last_step(run) == 9
    assert last_step(run / "checkpoints") == -1


def test_settings_that_a_truncated_recipe_lacks() -> None:
    whole = RECIPE + '\n[losses.l]\nuse = "l1"\nweight = 2\n'
    assert missing_settings({"name": "r", "run": {"seed": 3}}, whole) == [
        "evaluation.batch",
        "losses.l.use",
        "losses.l.weight",
    ]
