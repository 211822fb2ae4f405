"""Feeding: whole, once, and by one process at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from gantk.errors import TrackingError
from gantk.tracking.feed import Feed
from gantk.tracking.feeder import Feeder, sync
from gantk.tracking.folder import RunFolder
from gantk.tracking.store import Store
from mlflow_runs import images_of, mlflow_run, steps_of
from waiting import until

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


def test_a_run_arrives_whole(store: Store, make_run: Make) -> None:
    made = make_run("whole")
    with Feeder(made.path, uri=store.uri, interval=0.05) as feeder:
        made.steps(1, 5)
        made.panel("validation", 3)
        made.panel("validation/deep", 5)
        made.steps(6, 10)
        made.finish(10)
        assert feeder.close(240) is None
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
    assert steps_of(store, run.info.run_id, "test/ssim") == [9]  # the last of ten
    inputs = [(d.dataset.name, d.dataset.digest, d.tags[0].value) for d in run.inputs.dataset_inputs]
    assert inputs == [("phantom", "0123456789ab-test", "test")]
    assert steps_of(store, run.info.run_id, "train/student/pixelwise") == list(range(1, 11))
    assert steps_of(store, run.info.run_id, "train/student/rate generator") == list(range(1, 11))
    top = {f.path for f in store.client().list_artifacts(run.info.run_id)}
    assert {"recipe.toml", "split.csv", "environment.json", "evaluation", "report.html", "checkpoints"} <= top
    kept = store.client().list_artifacts(run.info.run_id, "checkpoints")
    assert [Path(f.path).name for f in kept] == ["step-00000010"]
    assert sync(made.path)["metrics"] == 0


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
    until(lambda: store.client().get_run(run_id).info.status == "RUNNING")
    made.status("failed")
    assert feeder.close(240) is None
    run = mlflow_run(store, made.path)
    assert (run.info.run_id, run.info.status) == (run_id, "FAILED")
    assert steps_of(store, run_id, "train/student/pixelwise") == list(range(1, 13))
    assert len(images_of(store, run_id)) == 4


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
    assert steps_of(store, mlflow_run(store, made.path).info.run_id, "train/student/pixelwise") == [1, 2, 3, 4]


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
