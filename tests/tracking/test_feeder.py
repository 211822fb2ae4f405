"""The feeder beside a run, and `gantk sync`: servers that are dead, silent or slow."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gantk.errors import TrackingError
from gantk.tracking.cursor import Cursor
from gantk.tracking.feeder import Feeder, sync
from gantk.tracking.store import Store, probe
from mlflow_runs import images_of, mlflow_run, steps_of
from ports import dead_port
from waiting import until

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


def test_a_dead_server_costs_nothing_and_nothing_is_lost(store: Store, make_run: Make) -> None:
    made = make_run("dead")
    notes: list[str] = []
    start = time.monotonic()
    with dead_port() as port:
        feeder = Feeder(made.path, uri=f"http://127.0.0.1:{port}", on_note=notes.append, interval=0.05)
        made.steps(1, 20)
        made.panel("validation", 20)
        until(lambda: notes)
        made.finish(20)
        left = feeder.close(500)
        feeder._thread.join(240)  # it may hold the lock, which `sync` needs
    assert time.monotonic() - start < 300
    assert left is not None
    assert (left.metrics, left.panels) == (40 + len(["run/epoch", "run/seconds per step"]), 1)
    assert "the run continues" in notes[0]
    assert notes[-1].endswith(f"are not yet in MLflow; upload them with:\n  gantk sync {made.path}")
    assert sync(made.path, store.uri)["metrics"] == left.metrics
    run = mlflow_run(store, made.path)
    assert steps_of(store, run.info.run_id, "train/student/pixelwise") == list(range(1, 21))
    assert len(images_of(store, run.info.run_id)) == 2
    assert run.info.status == "FINISHED"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is waited for so long that only waiting for it takes long."""
    monkeypatch.setattr("gantk.tracking.store.probe", partial(probe, timeout=500))


def test_a_silent_server_is_not_waited_for(make_run: Make, patient: None) -> None:
    made = make_run("silent")
    notes: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        feeder = Feeder(made.path, uri=f"http://127.0.0.1:{silent.getsockname()[1]}", on_note=notes.append)
        made.steps(1, 3)
        left = feeder.close(0.5)
        assert time.monotonic() - start < 300
    assert left is not None
    assert left.metrics == 6 + len(["run/epoch"])
    assert "gantk sync" in notes[-1]


def test_sync_says_what_is_wrong(make_run: Make, tmp_path: Path) -> None:
    made = make_run("unreachable")
    with dead_port() as port, pytest.raises(TrackingError, match="does not answer"):
        sync(made.path, f"http://127.0.0.1:{port}")
    with pytest.raises(TrackingError, match="not a run folder"):
        sync(tmp_path)


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


def test_the_address_is_remembered_before_the_first_contact(store: Store, make_run: Make) -> None:
    made = make_run("remembered")
    with dead_port() as port:
        dead = f"http://127.0.0.1:{port}"
        feeder = Feeder(made.path, uri=dead)
        feeder.close(0)
        feeder._thread.join(240)  # it may hold the lock, which `sync` needs
        assert json.loads((made.path / "tracking.json").read_text())["uri"] == dead
        with pytest.raises(TrackingError, match=dead):
            sync(made.path)
    sync(made.path, store.uri)  # another one has it now
    assert sync(made.path)["uri"] == store.uri


def test_a_slow_server_is_waited_for_aloud_and_the_local_file_is_not(
    store: Store, make_run: Make, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantk.tracking.feeder.SILENT_SERVER", 0.05)
    monkeypatch.setattr("gantk.tracking.feeder.SILENT_FILE", 300.0)
    notes: dict[str, list[str]] = {}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name, uri in (("file", store.uri), ("server", f"http://127.0.0.1:{silent.getsockname()[1]}")):
            made = make_run(name)
            notes[name] = []
            Feeder(made.path, uri=uri, on_note=notes[name].append).close(240 if name == "file" else 0.5, "FINISHED")
    assert notes["file"] == []
    assert notes["server"][0].startswith("waiting at most")
