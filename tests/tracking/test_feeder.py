from __future__ import annotations

import json
import math
import os
import re
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from mlflow.utils.validation import _validate_metric_name
from PIL import Image

from gantk.errors import TrackingError
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.progress import Bar, QuietProgress
from gantk.recipe.model import TrackingSettings
from gantk.tracking.cursor import Cursor
from gantk.tracking.feed import Feed
from gantk.tracking.feeder import Feeder, sync
from gantk.tracking.folder import RunFolder, entity_name, flatten
from gantk.tracking.names import child_name, metric_name, panel_name, results, run_name
from gantk.tracking.pace import Pace
from gantk.tracking.store import Store
from gantk.tracking.ui import free_port

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


def mlflow_run(store: Store, path: Path):  # type: ignore[no-untyped-def]
    experiment = store.experiment("tests")
    found = store.client().search_runs([experiment], f"tags.`gantk.run` = '{path.name}'")
    assert len(found) == 1
    return found[0]


def steps(store: Store, run_id: str, name: str) -> list[int]:
    return [metric.step for metric in store.client().get_metric_history(run_id, name)]


def images(store: Store, run_id: str) -> list[str]:
    return sorted(Path(f.path).name for f in store.client().list_artifacts(run_id, "images"))


def test_a_run_arrives_whole(store: Store, make_run: Make) -> None:
    made = make_run("whole")
    with Feeder(made.path, uri=store.uri, interval=0.05) as feeder:
        made.steps(1, 5)
        made.panel("validation", 3)
        made.panel("validation/deep", 5)
        made.steps(6, 10)
        made.finish(10)
        assert feeder.close(60) is None
    run = mlflow_run(store, made.path)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == made.path.name
    assert (run.info.start_time, run.info.end_time) == (1_700_000_000_000, 1_700_000_060_000)
    assert run.data.params["losses.pixelwise.weight"] == "100.0"
    assert run.data.params["data.inputs"] == '["t1", "t2"]'
    assert run.data.tags["mlflow.note.content"] == "A small run"
    assert run.data.tags["mlflow.source.git.commit"] == "c0ffee"
    assert run.data.tags["gantk.split"] == "0123456789ab"
    assert run.data.metrics["test/ssim"] == 0.9
    assert run.data.metrics["baseline/input:t1/ssim"] == 0.5
    assert steps(store, run.info.run_id, "test/ssim") == [9]  # the last of ten
    inputs = [(d.dataset.name, d.dataset.digest, d.tags[0].value) for d in run.inputs.dataset_inputs]
    assert inputs == [("phantom", "0123456789ab-test", "test")]
    assert steps(store, run.info.run_id, "train/student/pixelwise") == list(range(1, 11))
    assert steps(store, run.info.run_id, "train/student/rate generator") == list(range(1, 11))
    top = {f.path for f in store.client().list_artifacts(run.info.run_id)}
    assert {"recipe.toml", "split.csv", "environment.json", "evaluation", "report.html", "checkpoints"} <= top
    kept = store.client().list_artifacts(run.info.run_id, "checkpoints")
    assert [Path(f.path).name for f in kept] == ["step-00000010"]
    assert sync(made.path)["metrics"] == 0


def test_panels_are_named_as_the_image_grid_wants_them(store: Store, make_run: Make) -> None:
    """The same names, but for time and unique part, as MLflow's own log_image gives."""
    made = make_run("panels")
    made.panel("validation/deep", 7)
    sync(made.path, store.uri)
    run = mlflow_run(store, made.path)
    other = store.client().create_run(run.info.experiment_id)
    store.client().log_image(other.info.run_id, np.zeros((8, 300, 3), np.uint8), key="validation/deep/panels", step=7)

    def bare(name: str) -> str:
        return re.sub(r"timestamp\+\d+\+[0-9a-f-]{36}", "…", name)

    theirs = images(store, other.info.run_id)
    assert [bare(n) for n in images(store, run.info.run_id)] == [bare(n) for n in theirs]
    assert (
        run.data.tags["mlflow.loggedImages"]
        == store.client().get_run(other.info.run_id).data.tags["mlflow.loggedImages"]
    )


def test_a_dead_server_costs_nothing_and_nothing_is_lost(store: Store, make_run: Make) -> None:
    made = make_run("dead")
    notes: list[str] = []
    start = time.monotonic()
    feeder = Feeder(made.path, uri=f"http://127.0.0.1:{free_port()}", on_note=notes.append, interval=0.05)
    made.steps(1, 20)
    assert time.monotonic() - start < 1
    made.panel("validation", 20)
    made.finish(20)
    left = feeder.close(30)
    assert time.monotonic() - start < 10
    assert left is not None
    assert (left.metrics, left.panels) == (40 + len(["run/epoch", "run/seconds per step"]), 1)
    assert "the run goes on" in notes[0]
    assert notes[-1].endswith(f"are not yet in MLflow; feed them with:\n  gantk sync {made.path}")
    assert sync(made.path, store.uri)["metrics"] == left.metrics
    run = mlflow_run(store, made.path)
    assert steps(store, run.info.run_id, "train/student/pixelwise") == list(range(1, 21))
    assert len(images(store, run.info.run_id)) == 2
    assert run.info.status == "FINISHED"


def test_a_silent_server_is_not_waited_for(make_run: Make) -> None:
    made = make_run("silent")
    notes: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        feeder = Feeder(made.path, uri=f"http://127.0.0.1:{silent.getsockname()[1]}", on_note=notes.append)
        made.steps(1, 3)
        assert time.monotonic() - start < 0.5
        left = feeder.close(0.5)
        assert time.monotonic() - start < 3
    assert left is not None
    assert left.metrics == 6 + len(["run/epoch"])
    assert "gantk sync" in notes[-1]


def test_sync_says_what_is_wrong(make_run: Make, tmp_path: Path) -> None:
    made = make_run("unreachable")
    with pytest.raises(TrackingError, match="does not answer"):
        sync(made.path, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TrackingError, match="no run folder"):
        sync(tmp_path)


def test_a_resumed_run_goes_on_in_its_mlflow_run_without_duplicates(store: Store, make_run: Make) -> None:
    made = make_run("resumed")
    made.steps(1, 8)
    made.panel("validation", 5)
    made.status("interrupted")
    sync(made.path, store.uri)
    run_id = mlflow_run(store, made.path).info.run_id
    assert store.client().get_run(run_id).info.status == "KILLED"

    made.journal.rewind(4)
    made.status("running")
    feeder = Feeder(made.path, interval=0.05)  # the store it was fed to before
    made.steps(5, 12)
    made.panel("validation", 5)
    made.panel("validation", 10)
    deadline = time.monotonic() + 30
    while store.client().get_run(run_id).info.status != "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert store.client().get_run(run_id).info.status == "RUNNING"
    made.status("failed")
    assert feeder.close(60) is None
    run = mlflow_run(store, made.path)
    assert (run.info.run_id, run.info.status) == (run_id, "FAILED")
    assert steps(store, run_id, "train/student/pixelwise") == list(range(1, 13))
    assert len(images(store, run_id)) == 4


@pytest.mark.parametrize("damage", ["unsure", "lost"])
def test_a_cursor_that_cannot_know_asks_mlflow(store: Store, make_run: Make, damage: str) -> None:
    """A kill between sending and noting it, or a deleted tracking.json, gives no duplicates either."""
    made = make_run(damage)
    made.steps(1, 6)
    made.panel("validation", 5)
    sync(made.path, store.uri)
    tracking = made.path / "tracking.json"
    if damage == "lost":
        tracking.unlink()
    else:
        text = tracking.read_text().replace('"unsure": false', '"unsure": true')
        tracking.write_text(re.sub(r'("train[^"]+"): 6', r"\1: 3", text))
    made.journal.rewind(3)
    made.steps(4, 9)
    sync(made.path, store.uri)
    run = mlflow_run(store, made.path)
    assert steps(store, run.info.run_id, "train/student/pixelwise") == list(range(1, 10))
    assert len(images(store, run.info.run_id)) == 2


def test_two_feeders_of_one_run_exclude_each_other(store: Store, make_run: Make) -> None:
    made = make_run("twice")
    with Feed(RunFolder(made.path), uri=store.uri), pytest.raises(TrackingError, match="another process"):
        sync(made.path, store.uri)


def test_a_store_that_was_deleted_gets_everything_again(store: Store, make_run: Make) -> None:
    made = make_run("deleted")
    made.steps(1, 3)
    sync(made.path, store.uri)
    store.client().delete_run(mlflow_run(store, made.path).info.run_id)
    made.steps(4, 4)
    sync(made.path, store.uri)
    assert steps(store, mlflow_run(store, made.path).info.run_id, "train/student/pixelwise") == [1, 2, 3, 4]


class Counted(QuietProgress):
    """Counts what tasks promise and what they do."""

    def __init__(self) -> None:
        self.total = self.done = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Bar]:
        self.total += total
        yield self

    def advance(self, n: int = 1) -> None:
        self.done += n


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_said_to_be_fed_is_what_is_fed(store: Store, make_run: Make, lost: bool) -> None:
    """The values that are derived from the journal count, and so does a store that lost the run."""
    made = make_run(f"counted-{lost}")
    made.steps(1, 3)
    made.status("finished", 3)
    if lost:
        sync(made.path, store.uri)
        store.client().delete_run(mlflow_run(store, made.path).info.run_id)
    progress = Counted()
    fed = sync(made.path, store.uri, progress)
    assert fed["metrics"] == 2 * 3 + len(["run/epoch", "run/seconds per step"])
    assert progress.total == progress.done == fed["metrics"] + fed["files"]
    assert fed["files"] > 0


@pytest.mark.parametrize(
    "name",
    ["a/b", "train/student/ssim@tumour", "a//b", "/a", "../a", "input:t1", "adversarial (D)", "ä", "x" * 300],
)
def test_names_are_those_that_mlflow_takes(name: str) -> None:
    clean = entity_name(name)
    _validate_metric_name(clean)
    assert entity_name(clean) == clean


def test_names_bring_forward_what_matters(make_run: Make) -> None:
    """MLflow's interface sorts by name, as `sorted` does, and makes a section of what stands before the last `/`."""
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


def test_thumbnails_are_large_enough_to_be_looked_at(store: Store, make_run: Make) -> None:
    made = make_run("large")
    path = made.path / "panels" / "validation" / "step-00000001.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((400, 2560, 3), np.uint8)).save(path)
    made.panel("validation", 2)
    sync(made.path, store.uri)
    run = mlflow_run(store, made.path)
    folder = Path(store.client().download_artifacts(run.info.run_id, "images"))
    sizes = {}
    for found in folder.glob("*.webp"):
        with Image.open(found) as image:
            sizes[re.search(r"step\+(\d+)", found.name)[1]] = image.size  # type: ignore[index]
    assert sizes == {"1": (1280, 200), "2": (300, 8)}  # none is enlarged


def test_what_is_no_longer_measured_is_no_longer_shown(store: Store, make_run: Make) -> None:
    made = make_run("again")
    made.steps(1, 2)
    made.finish(2)
    sync(made.path, store.uri)
    summary = made.path / "evaluation" / "summary.json"
    summary.write_text(json.dumps({"methods": {"student": {"psnr": {"mean": 30.0}, "nan": {"mean": math.nan}}}}))
    os.utime(summary, (2e9, 2e9))
    for _ in range(2):
        sync(made.path)
        metrics = mlflow_run(store, made.path).data.metrics
        assert metrics["test/psnr"] == 30
        assert math.isnan(metrics["test/ssim"])
        assert math.isnan(metrics["baseline/input:t1/ssim"])
        assert metrics["train/student/pixelwise"] == 0.5


def test_each_part_of_the_split_is_an_input_that_names_no_other_run(store: Store, make_run: Make) -> None:
    for name in ("first", "second"):
        made = make_run(name)
        (made.path / "split.csv").write_text("patient,role\na,paired\nb,paired\nc,validation\nd,test\n")
        sync(made.path, store.uri)
        inputs = mlflow_run(store, made.path).inputs.dataset_inputs
        found = {d.dataset.digest: (d.tags[0].value, json.loads(d.dataset.source)["subjects"]) for d in inputs}
        assert found["0123456789ab-paired"] == ("training", 2)
        assert found["0123456789ab-validation"] == ("validation", 1)
        assert not any("first" in d.dataset.source for d in inputs)


def test_a_sweep_has_the_parameters_and_results_of_its_children(store: Store, make_run: Make) -> None:
    made = make_run("sweep")
    (made.path / "recipe.toml").write_text('name = "sweep"\nx = 100\n[run]\nz = 1\n[sweep]\n"run.seed" = [0, 1]\n')
    (made.path / "sweep.json").write_text(json.dumps({"children": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}))
    for seed, (child, ssim) in enumerate({"a": 0.5, "b": 0.7, "c": 0.9}.items()):
        folder = made.path / "children" / child
        (folder / "evaluation").mkdir(parents=True)
        (folder / "recipe.toml").write_text(f'name = "{child}"\nx = 100.0\n[run]\nseed = {seed}\nz = 1\n')
        state = "finished" if child != "c" else "failed"
        (folder / "status.json").write_text(json.dumps({"state": state}))
        columns = {"ssim": {"higher_is_better": True}, "mse": {"higher_is_better": False}}
        methods = {"student": {"ssim": {"mean": ssim}, "mse": {"mean": ssim}}, "input:t1": {"ssim": {"mean": 0.1}}}
        (folder / "evaluation" / "summary.json").write_text(json.dumps({"metrics": columns, "methods": methods}))
    (made.path / "table.md").write_text("| |")
    made.status("finished")
    sync(made.path, store.uri)
    data = store.client().get_run(Cursor.load(made.path / "tracking.json").run_id).data
    assert (data.params["x"], data.params["run.seed"], data.params["name"]) == ("100.0", "[0, 1, 2]", "sweep")
    assert data.metrics == {
        "children/best/ssim": 0.7, "children/mean/ssim": 0.6, "children/best/mse": 0.5, "children/mean/mse": 0.6,
    }  # fmt: skip


def test_the_epoch_and_the_time_of_a_step() -> None:
    pace, told = Pace(), []
    times = [0, 1, 2, 50, 51, 52, 53]  # a pause before the second epoch's first step
    for step, moment in enumerate(times):
        record = {"step": step, "stage": "a" if step < 3 else "b", "epoch": 0, "time": moment, "metrics": {"x": 1}}
        told += pace.of(record)
    told += pace.end()
    assert [(r["step"], r["metrics"]) for r in told] == [
        (0, {"run/epoch": 0}),
        (2, {"run/seconds per step": 1}),
        (3, {"run/epoch": 1}),
        (6, {"run/seconds per step": 1}),
    ]


def test_what_the_environment_asks_of_mlflow(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "asked")
    monkeypatch.setenv("MLFLOW_RUN_NAME", "my run")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("LOGNAME", "ada")
    made, notes = make_run("asked"), []
    (made.path / "recipe.toml").write_text('name = "tiny"')
    Feeder(made.path, uri=store.uri, on_note=notes.append, interval=0.05).close(60, "FINISHED")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")  # remembered
    sync(made.path)
    run = store.client().get_run(Cursor.load(made.path / "tracking.json").run_id)
    assert run.info.run_name == "my run"
    assert run.data.tags["mlflow.user"] == "ada"
    assert store.client().get_experiment(run.info.experiment_id).name == "asked"
    assert notes == ["MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING is ignored: set tracking.system_metrics = true"]


def test_the_journal_is_streamed(store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the values take no more memory, and every value is sent once, in batches that the store takes."""
    sent: list[int] = []
    monkeypatch.setattr(Store, "log_metrics", lambda self, run_id, metrics: sent.append(len(metrics)))
    peaks = []
    for steps in (10, 3_000, 12_000):  # the first warms up
        made = make_run(f"long-{steps}")
        line = '{{"seq":{0},"step":{0},"epoch":0,"stage":"1","time":1.7e9,"metrics":{{"train/a/b":{0},"train/c":1}}}}'
        (made.path / "metrics.jsonl").write_text("".join(f"{line.format(i)}\n" for i in range(1, steps + 1)))
        with Feed(RunFolder(made.path), uri=store.uri) as feed:
            feed.store.batch = 1000
            sent.clear()
            tracemalloc.start()
            feed.feed()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert sum(sent) == 2 * steps + 1  # and the epoch
        assert max(sent) <= 1000
    assert peaks[2] < 1.5 * peaks[1]


def test_the_address_is_remembered_before_the_first_contact(store: Store, make_run: Make) -> None:
    made = make_run("remembered")
    dead = f"http://127.0.0.1:{free_port()}"
    Feeder(made.path, uri=dead).close(0)
    assert json.loads((made.path / "tracking.json").read_text())["uri"] == dead
    with pytest.raises(TrackingError, match=dead):
        sync(made.path)
    sync(made.path, store.uri)  # another one has it now
    assert sync(made.path)["uri"] == store.uri


def test_a_damaged_cursor_is_as_none(store: Store, make_run: Make) -> None:
    made = make_run("damaged")
    for text in ("", "[1]", '{"uri": 3}', '{"steps": ["a"], "uri": "x"}', "\x00"):
        (made.path / "tracking.json").write_text(text)
        assert Cursor.load(made.path / "tracking.json") == Cursor()


def test_a_slow_server_is_waited_for_aloud_and_the_local_file_is_not(
    store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantk.tracking.feeder.SILENT_SERVER", 0.05)
    notes: dict[str, list[str]] = {}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name, uri in (("file", store.uri), ("server", f"http://127.0.0.1:{silent.getsockname()[1]}")):
            made = make_run(name)
            notes[name] = []
            Feeder(made.path, uri=uri, on_note=notes[name].append).close(20 if name == "file" else 0.5, "FINISHED")
    assert notes["file"] == []
    assert notes["server"][0].startswith("waiting at most")


def test_long_parameters_are_cut(make_run: Make) -> None:
    made = make_run("long")
    (made.path / "recipe.toml").write_text(f'name = "{"x" * 9000}"')
    assert len(RunFolder(made.path).parameters()["name"]) == 6000


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


def test_the_note_says_that_a_baseline_wins(make_run: Make) -> None:
    made = make_run("beaten")
    columns = {"ssim": Column("SSIM", "image", True)}
    rows = [Row("p", method, 1, {"ssim": value}) for method, value in (("student", 0.5), ("input:t1", 0.9))]
    Evaluation("s", "e", columns, rows).write(made.path / "evaluation")
    note = RunFolder(made.path).tags()["mlflow.note.content"]
    assert "- † copying the t1 (baseline/input:t1) scores better than the best method in SSIM ↑" in note


def test_system_metrics_by_one_key(store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    found = {}
    for name, wanted in (("without", False), ("with", True)):
        made = make_run(name)
        settings = TrackingSettings.model_validate({**RunFolder(made.path).tracking, "system_metrics": wanted})
        with Feeder(made.path, settings, store.uri, interval=0.05) as feeder:
            assert feeder.begun(60)
            ends = time.monotonic() + 30
            while wanted and time.monotonic() < ends:
                if any(key.startswith("system/") for key in mlflow_run(store, made.path).data.metrics):
                    break
                time.sleep(0.05)
            made.finish(2)
            assert feeder.close(60) is None
        found[name] = any(key.startswith("system/") for key in mlflow_run(store, made.path).data.metrics)
    assert found == {"without": False, "with": True}


def test_run_names_differ_at_their_beginning() -> None:
    assert run_name("ds3_semi-x-20260302-141500-0a1f") == "0a1f ds3_semi-x 03-02 14:15"
    assert run_name("full-seed-0-0a1f2b3c") == "full-seed-0-0a1f2b3c"


def test_flatten() -> None:
    assert dict(flatten({"a": {"b": 1, "c": []}, "d": "x", "e": {}, "f": True})) == {
        "a.b": "1", "a.c": "[]", "d": "x", "e": "{}", "f": "true",
    }  # fmt: skip
