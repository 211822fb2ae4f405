from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from gantk.errors import TrackingError
from gantk.tracking.store import Store, probe, resolve_uri, shown
from ports import dead_port


def test_order_of_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_uri(tmp_path) == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://env")
    assert resolve_uri(tmp_path) == "http://env"
    assert resolve_uri(tmp_path, recipe="http://recipe") == "http://recipe"
    assert resolve_uri(tmp_path, "http://option", "http://recipe") == "http://option"


def test_a_relative_database_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_uri(tmp_path, "sqlite:///sub/m.db") == f"sqlite:///{Path.cwd()}/sub/m.db"
    assert resolve_uri(tmp_path, "sqlite:////abs/m.db") == "sqlite:////abs/m.db"


def test_credentials_are_not_shown() -> None:
    assert shown("https://me:secret@host:5000/x") == "https://host:5000/x"


def test_a_closed_port_is_found_at_once() -> None:
    start = time.monotonic()
    with dead_port() as port, pytest.raises(TrackingError, match="does not answer"):
        probe(f"http://127.0.0.1:{port}", timeout=300)
    assert time.monotonic() - start < 100


def test_a_silent_server_is_given_up() -> None:
    took = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for _ in range(3):  # a busy machine may pause one of them
            start = time.monotonic()
            with pytest.raises(TrackingError, match="does not answer"):
                probe(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
            took.append(time.monotonic() - start)
    assert min(took) < 2


def test_a_store_in_an_impossible_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match="cannot be opened"):
        Store(f"sqlite:///{tmp_path}/file/mlflow.db").experiment("x")


def test_mlflow_prints_no_traceback_of_its_database(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Its error is raised, and said by whoever catches it: a full disk, say."""
    client = store.client()
    experiment = store.experiment("one")
    with contextlib.closing(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as database:
        database.execute("ALTER TABLE runs RENAME TO gone")
        try:
            with pytest.raises(MlflowException, match="no such table"):
                client.create_run(experiment)
        finally:
            database.execute("ALTER TABLE gone RENAME TO runs")
    assert "Traceback" not in capsys.readouterr().err


def test_a_deleted_experiment_is_named(store: Store) -> None:
    store.client().delete_experiment(store.experiment("deleted"))
    with pytest.raises(TrackingError, match="'deleted' was deleted"):
        store.experiment("deleted")


def test_processes_that_start_together_share_an_empty_store(tmp_path: Path) -> None:
    code = "import sys; from gantk.tracking.store import Store; print(Store(sys.argv[1]).experiment('together'))"
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, "-c", code, uri], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    ids = {process.communicate(timeout=300)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(ids) == 1
