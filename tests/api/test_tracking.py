"""Runs and their MLflow store: impossible addresses, secrets, and a server that is away."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from command_line import call
from gantk.errors import TrackingError
from gantk.tracking import sync
from gantk.tracking.credentials import lend
from ports import dead_port

PASSWORD, TOKEN = "s3cr3t-p4ss", "t0k3n-s3cr3t"
TRACKED = ("--set", "tracking.enabled=true", "--device", "cpu")
# a busy machine may need longer for a run's end than users wait
PATIENT = "import gantk.tracking.feeder as f; f.SILENT_FILE, f.Feeder.close.__defaults__ = 400.0, (400.0, None)"
SWEEP = 'extends = "{base}"\nname = "two"\n[sweep]\n"run.seed" = [0, 1]\n'


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("URI", "USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    yield
    monkeypatch.undo()
    lend("sqlite:///nothing")  # a test's credentials are removed


@pytest.fixture
def failing() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server that refuses everything except the health check, and the list of its requests."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            self.send_response(200 if self.path == "/health" else 401)
            self.end_headers()
            self.wfile.write(b"no")

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_an_impossible_address_is_refused_before_any_work(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(SWEEP.format(base=recipe.as_posix()))
    bad, in_recipe = ("--tracking-uri", "foo://bar"), ("--set", "tracking.uri=foo://bar")
    calls = [
        ("run", recipe, *TRACKED, *bad),
        ("run", sweep, *TRACKED, *bad),
        *(("run", path, *TRACKED, *in_recipe) for path in (recipe, sweep)),
        ("run", recipe, *TRACKED, *in_recipe, "--dry-run"),
        ("run", recipe, *TRACKED, *bad, "--dry-run"),
        ("validate", recipe, *in_recipe),
        ("doctor", *bad),
        ("ui", *bad),
    ]
    for arguments in calls:
        result = call(*arguments)
        assert (result.exit_code, "no stores with the scheme 'foo'" in " ".join(result.output.split())) in [
            (2, True),
            (1, arguments[0] == "doctor"),
        ], (arguments, result.output)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "foo://bar")
    assert call("run", recipe, *TRACKED).exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


def test_a_password_in_a_recipe_is_refused(recipe: Path, tmp_path: Path) -> None:
    for uri in (f"http://me:{PASSWORD}@host", f"http://host?token={PASSWORD}"):
        result = call("run", recipe, *TRACKED, "--set", f"tracking.uri={uri}")
        assert result.exit_code == 2
        assert "MLFLOW_TRACKING_PASSWORD" in result.output
        assert PASSWORD not in result.output
    assert not list(tmp_path.iterdir())


def holding(folder: Path, *secrets: str) -> list[tuple[str, str]]:
    """Files that contain a secret, in plain text or encoded as in a header."""
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [(str(path), s) for path in files for s in (*secrets, basic) if s.encode() in path.read_bytes()]


def test_secrets_reach_the_server_and_nothing_else(
    server: Any, recipe: Path, tmp_path: Path, failing: tuple[str, list[tuple[str, str]]]
) -> None:
    """Through a run whose server refuses it, a resumed one, and the store that has it at last."""
    host, asked = failing
    uri = f"http://me:{PASSWORD}@{host}/?token={TOKEN}"
    process = server.start(tmp_path, "run", recipe, *TRACKED, "--tracking-uri", uri, before=PATIENT)
    assert process.wait() == 0, process.output
    assert "is not available, so the run continues" in process.output
    run = process.run
    assert json.loads((run / "tracking.json").read_text())["uri"] == f"http://{host}/"
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert any(path.startswith("/api/") and sent == f"Basic {basic}" for path, sent in asked)
    assert not any(TOKEN in path for path, _ in asked)
    assert not holding(tmp_path, PASSWORD, TOKEN)

    asked.clear()
    with pytest.raises(TrackingError):  # the store is the run's own
        sync(run)
    assert asked
    said = call("doctor", "--tracking-uri", uri).output + call("sync", run, "--tracking-uri", uri).output
    assert sync(run, f"sqlite:///{tmp_path}/store/mlflow.db")["metrics"]
    assert PASSWORD not in said
    assert TOKEN not in said
    assert not holding(tmp_path, PASSWORD, TOKEN)


def test_a_sweep_gives_its_children_the_address_without_secrets(recipe: Path, tmp_path: Path) -> None:
    from gantk.sweeps import sweep as api
    from gantk.sweeps.course import Course

    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP.format(base=recipe.as_posix()))
    seen: list[Any] = []
    with pytest.MonkeyPatch.context() as patch, dead_port() as dead:
        patch.setattr(Course, "carry_out", lambda self, *given: seen.extend(given))
        uri = f"http://me:{PASSWORD}@127.0.0.1:{dead}"
        api.run_sweep(path, ["tracking.enabled=true"], device="cpu", tracking_uri=uri)
    options, address = seen[2], seen[4]
    assert options[-1] == address == uri.replace(f"me:{PASSWORD}@", "")
    assert not holding(tmp_path, PASSWORD)


def test_a_short_run_into_the_local_store_waits_without_a_word(server: Any, recipe: Path, tmp_path: Path) -> None:
    process = server.start(tmp_path, "run", recipe, *TRACKED, before=PATIENT)
    assert process.wait() == 0, process.output
    assert "MLflow" not in process.output
    assert (tmp_path / "runs" / "mlflow.db").is_file()
