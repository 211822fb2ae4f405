from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from gantk.errors import TrackingError, UsageError
from gantk.tracking.store import Store, probe, resolve_uri, shown
from gantk.tracking.ui import free_port, store_of, ui_command


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
    with pytest.raises(TrackingError, match="does not answer"):
        probe(f"http://127.0.0.1:{free_port()}")
    assert time.monotonic() - start < 2


def test_a_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(TrackingError, match="does not answer"):
            probe(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
        assert time.monotonic() - start < 2


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
    ids = {process.communicate(timeout=100)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(ids) == 1


def test_ui_serves_this_computer_alone(tmp_path: Path) -> None:
    command = ui_command(f"sqlite:///{tmp_path}/mlflow.db", 5123)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--artifacts-destination") + 1] == (tmp_path / "mlartifacts").as_uri()


def remembered(runs: Path, **stores: str) -> None:
    for name, uri in stores.items():
        (runs / name).mkdir(parents=True)
        (runs / name / "recipe.toml").write_text("")
        (runs / name / "tracking.json").write_text(json.dumps({"uri": uri}))


def test_the_ui_says_that_there_is_nothing_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UsageError, match="there are no runs"):
        store_of(tmp_path / "runs")
    with pytest.raises(UsageError, match="there is no MLflow store"):
        store_of(tmp_path / "runs", f"sqlite:///{tmp_path}/elsewhere.db")
    assert not list(tmp_path.iterdir())
    remembered(tmp_path / "runs", a="")
    with pytest.raises(UsageError, match=r"no MLflow store.*gantk sync"):
        store_of(tmp_path / "runs")


def test_the_ui_is_that_of_the_store_that_has_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    runs = tmp_path / "runs"
    remembered(runs, a="http://there", b="http://there")
    assert store_of(runs) == "http://there"
    assert store_of(runs, "http://other") == "http://other"
    remembered(runs, c="http://elsewhere")
    with pytest.raises(UsageError, match=r"several MLflow stores.*http://elsewhere, http://there"):
        store_of(runs)
    own = f"sqlite:///{runs}/mlflow.db"
    remembered(runs, d=own)
    (runs / "mlflow.db").touch()
    assert store_of(runs) == own


def test_a_password_is_not_on_the_command_line_of_the_ui() -> None:
    assert not any("s3cret" in part for part in ui_command("mysql://me:s3cret@host/db", 5123))


def test_a_taken_port_is_a_usage_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(UsageError, match="is taken"):
            free_port(taken.getsockname()[1])
        assert free_port() != taken.getsockname()[1]


def test_the_ui_answers_and_ends_with_everything_it_started(store: Store) -> None:
    code = (
        "import sys; from gantk.tracking.ui import serve\n"
        "sys.exit(serve(sys.argv[1], None, lambda url: print(url, flush=True)))"
    )
    ui = subprocess.Popen([sys.executable, "-c", code, store.uri], stdout=subprocess.PIPE, text=True)
    assert ui.stdout is not None
    url = ui.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url, timeout=10) as page:
        assert b"MLflow" in page.read()
    ui.send_signal(signal.SIGTERM)
    assert ui.wait(20) == 0
    with pytest.raises(TrackingError):
        probe(url, 1.0)
