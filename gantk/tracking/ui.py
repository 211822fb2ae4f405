"""The MLflow UI for the store of the runs, on this computer only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from gantk.errors import TrackingError, UsageError
from gantk.tracking.credentials import completed
from gantk.tracking.cursor import Cursor
from gantk.tracking.store import Store, probe, resolve_uri

__all__ = ["HOST", "free_port", "serve", "store_of", "ui_command"]

HOST = "127.0.0.1"
PORT = 5000


def store_of(runs: Path, option: str | None = None) -> str:
    """The store with the runs of a folder: the requested store, or the store that they were uploaded to.

    Raises:
        UsageError: there are no runs or no store yet, or the runs are in several stores.
    """
    uri = resolve_uri(runs, option)
    if option is None and not os.environ.get("MLFLOW_TRACKING_URI"):
        known = {Cursor.load(path).uri for path in runs.glob("*/tracking.json")} - {""}
        if not known and not any(runs.glob("*/recipe.toml")):
            raise UsageError("there are no runs", where=runs.absolute(), mend="name their folder with --runs")
        if known and uri not in known:
            if len(known) > 1:
                mend = f"name one with --tracking-uri: {', '.join(sorted(known))}"
                raise UsageError("the runs are in several MLflow stores", where=runs.absolute(), mend=mend)
            uri = resolve_uri(runs, *known)
    database = Store(uri).database
    if database is not None and not database.exists():
        raise UsageError(
            "there is no MLflow store",
            where=database,
            mend="start a run, or upload existing runs with `gantk sync RUN`",
        )
    return uri


def ui_command(uri: str, port: int) -> list[str]:
    """The command that serves the MLflow UI for a store's artifacts; the store itself is in its environment.

    Everybody on the machine can read a command line, and a database's address contains a password.
    """
    command = [sys.executable, "-m", "mlflow", "server"]
    artifacts = Store(uri).artifacts
    if artifacts is not None:
        command += ["--artifacts-destination", artifacts.as_uri()]
    return [*command, "--host", HOST, "--port", str(port), "--workers", "1"]


def free_port(wanted: int | None = None) -> int:
    """The port `wanted` if it is free; by default 5000, or any free port if 5000 is taken.

    Raises:
        UsageError: the wanted port is taken.
    """
    for port in (wanted,) if wanted else (PORT, 0):
        with socket.socket() as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            return int(candidate.getsockname()[1])
    raise UsageError(f"port {wanted} is taken", mend="choose another port with --port, or omit it")


def serve(uri: str, port: int | None = None, on_ready: Callable[[str], None] = print) -> int:
    """Serve the UI until it is interrupted; `on_ready` receives the URL as soon as the UI responds.

    A store that is a server has its own UI: `on_ready` receives its address and nothing is started.

    Raises:
        TrackingError: the store does not respond or the UI does not start within a minute.
    """
    if uri.startswith(("http://", "https://")):
        probe(uri)
        on_ready(uri)
        return 0
    store = Store(uri)
    store.client()  # creates or checks the database, one process at a time
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": completed(uri),
    }
    folder = store.database.parent if store.database else Path.cwd()
    with _terminable(), ExitStack() as starting:
        starting.enter_context(_one_at_a_time())
        chosen = free_port(port)
        url = f"http://{HOST}:{chosen}"
        server = subprocess.Popen(
            ui_command(uri, chosen),
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # the server has child processes, which must end with it
        )
        try:
            _until_ready(server, url)
            starting.close()
            on_ready(url)
            server.communicate()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(server)
    return server.returncode


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """A lock of this user while a UI starts: two that start at once would choose the same port.

    A lock that cannot be had does not keep the UI from starting.
    """
    user = getattr(os, "getuid", int)()
    lock = FileLock(Path(tempfile.gettempdir()) / f"gantk-ui-{user}.lock", timeout=90)
    with suppress(OSError, Timeout):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _terminable() -> Iterator[None]:
    """A context in which SIGTERM acts like Ctrl-C, so that no server is left running."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        former = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, so signals do not arrive anyway
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _end(server: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        server.terminate()
    else:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if server.poll() is not None:
            said = server.stderr.read().decode(errors="replace").split("\n") if server.stderr else []
            raise TrackingError("the MLflow UI stopped while starting", why="; ".join(said[-3:]).strip("; "))
        try:
            probe(url, 1.0)
            return
        except TrackingError:
            time.sleep(0.2)
    raise TrackingError("the MLflow UI did not answer within 60 s", where=url)
