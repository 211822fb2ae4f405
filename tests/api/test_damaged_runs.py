"""Every file of a run, damaged in every way, under every verb: a note, or an error that names the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gantk
from gantk.api.figure import compare_slices
from gantk.errors import GantkError, UsageError
from gantk.progress import QuietProgress
from gantk.report.html import write_report
from gantk.runs.files import RunFiles
from gantk.tables.compare import compare
from gantk.tables.paper import result_table
from gantk.tracking.folder import RunFolder
from gantk.training.checkpoint import newest_checkpoint

SIDE = ("recipe.toml", "status.json", "environment.json", "split.csv", "metrics.jsonl")
PANEL = "panels/*/step-*.png"


def half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def lines(path: Path) -> None:
    """The first half of the file, cut between two lines, which no parser notices."""
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rows[: max(len(rows) // 2, 1)]))


def other(path: Path) -> None:
    """The right format with something else in it."""
    said = {".json": '{"state": 3, "plugins": 3, "metrics": 3, "m": 3}', ".toml": "a = 1\n"}
    path.write_text(said.get(path.suffix, "3\n"))


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "missing": Path.unlink,
    "half": half,
    "lines": lines,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x00\xff\xfe garbage \x80" * 9),
    "other": other,
    "unreadable": lambda path: path.chmod(0),
}


def read_for_mlflow(run: Path) -> None:
    folder = RunFolder(run)
    folder.parameters(), folder.tags(), folder.dataset(), folder.panels()
    gantk.runs.files.warn_of_damage(run)


def predict(run: Path) -> None:
    gantk.load(run, device="cpu")


def resume(run: Path) -> None:
    gantk.run(resume=run, device="cpu", progress=QuietProgress())


def evaluate(run: Path) -> None:
    gantk.evaluate(run, device="cpu", progress=QuietProgress())


VERBS: dict[str, Callable[[Path], Any]] = {
    "report": write_report,
    "compare": lambda run: compare([run]),
    "table": lambda run: result_table([run]),
    "figure": lambda run: compare_slices([run]),
    "predict": predict,
    "sync": read_for_mlflow,
    "evaluate": evaluate,
    "resume": resume,
}
READ_BY = {
    **dict.fromkeys(SIDE, tuple(VERBS)),
    "evaluation/patients.csv": ("report", "compare", "table", "figure"),
    "evaluation/summary.json": ("report", "compare", "table", "figure"),
    "evaluation/examples.npz": ("report", "figure"),
    "evaluation/weights.json": ("report",),
    PANEL: ("report",),
}
#: Files that a run may lack: not every run has pictures and maps.
MAY_BE_MISSING = ("evaluation/examples.npz", "evaluation/weights.json", PANEL)


@pytest.fixture
def run(finished: Path) -> Path:
    return finished


def said_by(verb: str, run: Path) -> list[str]:
    """The output of a command: warnings and, if it fails, the error."""
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            VERBS[verb](run)
        except GantkError as error:
            said.append(str(error))
    return said + [str(w.message) for w in caught if issubclass(w.category, gantk.errors.GantkWarning)]


@pytest.mark.parametrize("verb", VERBS)
def test_a_whole_run_is_not_complained_of(run: Path, verb: str) -> None:
    assert said_by(verb, run) == []


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", READ_BY)
def test_damage_is_said_and_stops_nothing_that_it_need_not(
    run: Path, file: str, damage: str, bound_by_permissions: None
) -> None:
    verbs = [verb for verb in READ_BY[file] if verb != "evaluate" or damage == "half"]  # it reads like a resume
    if damage == "lines" and (file.endswith((".json", ".npz", ".png"))):
        pytest.skip("a file without lines")
    for verb in verbs:
        spoilt = Path(shutil.copytree(run, run.parent / verb))
        path = next(spoilt.glob(file))
        DAMAGES[damage](path)
        said = said_by(verb, spoilt)
        if not (damage == "missing" and file in MAY_BE_MISSING):
            assert any(path.name in text for text in said), (verb, said)
        assert not [text for text in said if "Errno" in text], (verb, said)
        words = ("Traceback", "unexpectedly", "Error:", "remove", "delete")
        if file in SIDE:
            assert not [text for text in said if any(word in text for word in words)], (verb, said)
        if file in SIDE and verb in ("resume", "evaluate"):
            assert RunFiles(spoilt).recipe_text() == RunFiles(run).recipe_text()
            left = {d.path.name for d in RunFiles(spoilt).damages()}
            assert not left & {"recipe.toml", "status.json", "split.csv"}, verb


@pytest.mark.parametrize("file", ["recipe.toml", "split.csv", "status.json", "environment.json"])
def test_a_resumed_run_has_its_files_again(run: Path, file: str) -> None:
    whole = (run / file).read_text()
    half(run / file)
    resume(run)
    assert RunFiles(run).damages() == []
    if file in ("recipe.toml", "split.csv"):
        assert (run / file).read_text() == whole


def test_where_nothing_else_knows_it_the_file_is_named(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    recipe = run / "recipe.toml"
    text = recipe.read_text()
    recipe.write_text(text[: text.rindex("=", 0, len(text) // 2)])  # not between two lines, which no parser notices
    for verb in ("report", "resume", "predict", "table"):
        (said,) = said_by(verb, run)[:1] or [""]
        assert verb == "predict" or "recipe.toml" in said
        assert "unexpectedly" not in said


def test_a_recipe_cut_between_its_lines_is_not_trained(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text[: text.index("[training]")])
    with pytest.raises(GantkError, match=r"recipe\.toml: the run's recipe is truncated"):
        resume(run)


def test_without_a_recipe_a_run_is_found_by_its_checkpoints(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parents[1])
    (run / "recipe.toml").unlink()
    assert gantk.resolve_run(run.name) == run
    assert gantk.resolve_run(run.name[:8]) == run


def test_an_edited_recipe_is_not_called_damaged(run: Path) -> None:
    """The location of the images may change after a move."""
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text.replace("checkpoint_every = 2", "checkpoint_every = 3"))
    assert RunFiles(run).damages() == []


@pytest.mark.parametrize(
    ("found", "written"),
    [("seed = 0", "seed = 1"), ("weight = 100.0", "weight = 120.0"), ("crop = [\n    32,", "crop = [\n    36,")],
)
def test_a_recipe_that_was_changed_is_not_resumed(run: Path, found: str, written: str) -> None:
    text = (run / "recipe.toml").read_text()
    assert found in text
    (run / "recipe.toml").write_text(text.replace(found, written))
    with pytest.raises(UsageError, match=r"recipe\.toml: the recipe differs from the one with which this run began"):
        resume(run)


def test_a_recipe_whose_data_moved_is_resumed(run: Path, cohort: Path) -> None:
    moved = Path(shutil.copytree(cohort, run.parent / "moved"))
    text = (run / "recipe.toml").read_text()
    assert cohort.as_posix() in text
    (run / "recipe.toml").write_text(text.replace(cohort.as_posix(), moved.as_posix()))
    resume(run)


def test_a_refused_resume_changes_nothing(run: Path) -> None:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    (checkpoint.folder / "state.pt").unlink()
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(GantkError, match="damaged"):
        resume(run)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_that_was_killed_is_not_running_in_its_report(run: Path) -> None:
    status = (run / "status.json").read_text()
    (run / "status.json").write_text(status.replace('"finished"', '"running"'))
    write_report(run)
    assert '<span class="state interrupted">' in (run / "report.html").read_text()


@pytest.fixture
def read_only(run: Path) -> Iterator[Path]:
    """The run on a file system that cannot be written."""
    mounted = run.parent / "mounted"
    mounted.mkdir()
    bind = ["mount", "--bind", run, mounted]
    if not shutil.which("mount") or subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount")
    subprocess.run(["mount", "-o", "remount,ro,bind", mounted], check=True)
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def test_on_a_read_only_disk(read_only: Path) -> None:
    for verb in ("compare", "table", "figure", "predict"):
        assert said_by(verb, read_only) == []
    for verb in ("report", "evaluate", "resume"):
        (said,) = said_by(verb, read_only)
        assert "cannot be written" in said
        assert "copy" in said
    with pytest.raises(GantkError, match=r"cannot be written.*copy the folder"):
        gantk.tracking.sync(read_only, f"sqlite:///{read_only.parent}/mlflow.db")


def test_a_status_is_written_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gantk.runs.folders import Status

    Status(tmp_path).update(state="running", message="a long message that the next does not have")

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gantk.runs.folders.write_text", full)
    Status(tmp_path).update(state="failed", message="")
    facts = RunFiles(tmp_path).status()
    assert (facts["state"], facts["message"]) == ("failed", "")


def test_a_report_that_has_no_room_leaves_a_finished_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gantk.report.html.write_text", full)
    with pytest.raises(GantkError, match=r"(?s)the report cannot be written.*No space left.*gantk report"):
        resume(run)
    assert RunFiles(run).status()["state"] == "finished"


def test_a_sweep_whose_list_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "children" / "a").mkdir(parents=True)
    (tmp_path / "children" / "a" / "child.json").write_text('{"parent": "abl"}')
    for content in (b"{", b"\xff", b"[]", b'{"children": 3}', b'{"children": [3]}'):
        (tmp_path / "sweep.json").write_bytes(content)
        with pytest.raises(UsageError, match=r"sweep\.json: the sweep's folder is damaged.*run its recipe again"):
            gantk.evaluate_sweep(tmp_path)


def test_a_script_without_a_guard(recipe: Path, tmp_path: Path) -> None:
    """The slices are prepared by processes of their own, which run the script no second time."""
    script = tmp_path / "script.py"
    script.write_text(
        "import gantk\nimport gantk.workers\ngantk.workers.cores = lambda: 2\nprint('once')\n"
        f"gantk.run({str(recipe)!r}, ['schedule.teacher_epochs=1', 'schedule.joint_epochs=1', 'schedule.rewind=0'], "
        "device='cpu')\n"
    )
    done = subprocess.run(
        [os.sys.executable, script],
        cwd=tmp_path,
        env=os.environ | {"GANTK_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("once") == 1
