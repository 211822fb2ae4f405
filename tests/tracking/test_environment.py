from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gantk.tracking.cursor import Cursor
from gantk.tracking.environment import environment, git_state
from gantk.tracking.feeder import Feeder, sync
from gantk.tracking.store import Store


def test_environment_is_json_and_names_what_matters() -> None:
    loaded = SimpleNamespace(name="p", version="1", distribution="d", state="loaded")
    failed = SimpleNamespace(name="q", version="1", distribution="d", state="failed")
    found = json.loads(json.dumps(environment([loaded, failed])))
    assert found["plugins"] == [{"name": "p", "version": "1", "distribution": "d"}]
    assert found["packages"]["torch"]
    assert found["cpu_count"] > 0


def test_git_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert git_state() is None

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    clean = git_state()
    assert clean is not None
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    (tmp_path / "file").write_text("2")
    assert git_state() == {**clean, "dirty": True}


def test_no_git_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state() is None


Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


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
