"""The MLflow UI: for this computer alone, of the store that has the runs, ended with all that it started."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import ports
from gantk.errors import UsageError
from gantk.tracking.store import Store
from gantk.tracking.ui import free_port, store_of, ui_command
from waiting import until


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


#: A busy machine may need longer than the minute that users wait: the clock is ten times as slow.
SERVE = """
import sys, time, types
import gantk.tracking.ui as ui
ui.time = types.SimpleNamespace(monotonic=lambda: time.monotonic() / 10, sleep=time.sleep)
sys.exit(ui.serve(sys.argv[1], int(sys.argv[2]), lambda url: print(url, flush=True)))
"""


def refused(url: str) -> bool:
    """Whether nothing is at an address."""
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10).close()
    except OSError as error:
        return isinstance(error, ConnectionRefusedError)
    return False


def test_the_ui_answers_and_ends_with_everything_it_started(store: Store) -> None:
    command = [sys.executable, "-c", SERVE, store.uri, str(ports.free_port())]
    ui = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert ui.stdout is not None
    url = ui.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url, timeout=240) as page:
        assert b"MLflow" in page.read()
    ui.send_signal(signal.SIGTERM)
    assert ui.wait(240) == 0
    until(lambda: refused(url))


def test_two_uis_that_start_at_once_have_ports_of_their_own(store: Store) -> None:
    wanted = f"ui.PORT = {ports.free_port()}"
    command = [sys.executable, "-c", SERVE.replace("sys.exit", f"{wanted}\nsys.exit"), store.uri, "0"]
    uis = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    urls = [ui.stdout.readline().strip() for ui in uis if ui.stdout is not None]
    for ui in uis:
        ui.send_signal(signal.SIGTERM)
    assert [ui.wait(240) for ui in uis] == [0, 0]
    assert len(set(urls)) == 2
    assert all(url.startswith("http://127.0.0.1:") for url in urls)
