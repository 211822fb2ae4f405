"""Tracking servers with faults: the run ends well, and `gantk sync` then delivers everything to that server.

A real MLflow server stands behind a proxy that can be broken in every way.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import socketserver
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gantk.errors import TrackingError
from gantk.tracking import sync
from gantk.tracking.journal import Journal
from gantk.tracking.names import metric_name
from gantk.tracking.store import Store, probe
from gantk.tracking.ui import ui_command
from ports import free_port
from waiting import until

Fault = Callable[["Proxy", socket.socket, bytes], bool]


class Proxy(socketserver.ThreadingTCPServer):
    """Passes connections to a server, or applies `fault` to them.

    Attributes:
        fault: receives a connection and the first bytes of the request; returns whether it has handled the connection.
        draw: random numbers of the fault.
    """

    daemon_threads = allow_reuse_address = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.behind, self.fault, self.draw = behind, healthy, random.Random()
        self.open: set[socket.socket] = set()
        self.server_bind()  # until it listens, it refuses connections, and no other process gets its port

    def listen(self) -> None:
        self.server_activate()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        pass  # a connection that a fault broke


class Handler(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        asked = self.request.recv(65536)
        if not asked or self.server.fault(self.server, self.request, asked):
            return
        with socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            behind.sendall(asked)
            back = threading.Thread(target=pump, args=(behind, self.request), daemon=True)
            back.start()
            pump(self.request, behind)
            back.join(5)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def answer(status: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def says(*answers: bytes) -> Fault:
    """Sends one of these answers to every request."""

    def fault(proxy: Proxy, connection: socket.socket, asked: bytes) -> bool:
        connection.sendall(proxy.draw.choice(answers))
        return True

    return fault


def healthy(proxy: Proxy, connection: socket.socket, asked: bytes) -> bool:
    return False


def silent(proxy: Proxy, connection: socket.socket, asked: bytes) -> bool:
    """Accepts requests and never answers."""
    time.sleep(60)
    return True


def mute_after_health(proxy: Proxy, connection: socket.socket, asked: bytes) -> bool:
    """Answers only the health check."""
    if b"/health" in asked.split(b"\r\n")[0]:
        connection.sendall(answer("200 OK", b"OK"))
    else:
        time.sleep(60)
    return True


def drops(proxy: Proxy, connection: socket.socket, asked: bytes) -> bool:
    """Hangs up in the middle of some requests; some of these have arrived."""
    chance = proxy.draw.random()
    if chance < 0.5:
        return False
    if chance < 0.75:
        return True
    with suppress(OSError), socket.create_connection(("127.0.0.1", proxy.behind), 5) as behind:
        behind.sendall(asked)
        behind.settimeout(5)
        connection.sendall(behind.recv(65536)[: proxy.draw.randint(1, 200)])
    return True


def slow(proxy: Proxy, connection: socket.socket, asked: bytes) -> bool:
    time.sleep(proxy.draw.uniform(0.2, 2))
    return False


def sometimes(fault: Fault) -> Fault:
    """The fault in some of the requests."""
    return lambda proxy, connection, asked: proxy.draw.random() < 0.5 and fault(proxy, connection, asked)


ERRORS = [answer(f"{code} No", b'{"error_code": "INTERNAL_ERROR", "message": "no"}') for code in (500, 502, 503, 429)]
WRONG = [
    answer("200 OK", b"<html>Sign in</html>", "text/html"),
    answer("200 OK", b"{}"),
    answer("200 OK", b"[3]"),
    answer("200 OK", b'{"experiment": null, "run": 3}'),
    answer("200 OK", b"\xff\xfe{"),
    b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"",
]
FAULTS: dict[str, Fault | None] = {
    "refused": None,
    "errors": says(*ERRORS),
    "wrong content": says(*WRONG),
    "drops": drops,
    "sometimes errors": sometimes(says(*ERRORS)),
    "sometimes wrong": sometimes(says(*WRONG)),
    "slow": slow,
    "forbidden": says(answer("401 No", b"no"), answer("403 No", b"no"), answer("302 Found", b"")),
    "silent": silent,
    "mute": mute_after_health,
}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A real MLflow server: its port, and its database."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    Store(uri).client()
    port = free_port()
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", **os.environ}
    process = subprocess.Popen(
        ui_command(uri, port),
        env=environment | {"MLFLOW_BACKEND_STORE_URI": uri},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: answers(port))
        yield port, folder / "mlflow.db"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)


def answers(port: int) -> bool:
    """Whether the server answers."""
    with suppress(TrackingError):
        probe(f"http://127.0.0.1:{port}", 10)
        return True
    return False


def delivered(database: Path, name: str) -> list[Any]:
    """The values of the run with that id."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(
            "SELECT run_uuid, status FROM runs JOIN tags USING (run_uuid) WHERE key = 'gantk.run' AND value = ?",
            (name,),
        ).fetchall()
        assert [status for _, status in found] == ["FINISHED"], found
        query = "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY 1, 2, 3"
        return connection.execute(query, (found[0][0],)).fetchall()


@pytest.mark.parametrize("kind", FAULTS)
def test_servers(
    harms: Any,
    server: Any,
    recipe: Path,
    behind: tuple[int, Path],
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server is faulty during the run, and works afterwards."""
    port, database = behind
    # for `sync`: the server that works may be slow where the machine is busy
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    monkeypatch.setattr("gantk.tracking.store.probe", partial(probe, timeout=120))
    in_sample = kind in ("refused", "wrong content", "drops")
    for one in harms.tries(int(in_sample), 2 if kind in ("silent", "mute") else 4):
        with harms.trying(one):
            one.done = kind
            proxy = Proxy(port)
            proxy.draw = one.random
            fault = FAULTS[kind]
            if fault is not None:
                proxy.fault = fault
                proxy.listen()
            shutil.rmtree(tmp_path / "runs", ignore_errors=True)
            uri = f"http://127.0.0.1:{proxy.server_address[1]}"
            process = server.start(
                tmp_path, "run", recipe, "--set", "tracking.enabled=true", "--tracking-uri", uri, "--device", "cpu"
            )
            assert process.wait() == 0, process.output
            assert "Traceback" not in process.output
            run = process.run
            if fault is None:
                proxy.listen()
            proxy.fault = healthy
            sync(run)  # the address is that of the run
            journal = [
                (metric_name(key), record["step"], value)
                for record in Journal(run / "metrics.jsonl").records()
                for key, value in record["metrics"].items()
            ]
            got = delivered(database, run.name)
            assert len(got) == len(set(got)), "a value is there twice"
            assert set(journal) <= set(got), sorted(set(journal) - set(got))[:3]
            assert not (tmp_path / "runs" / "mlflow.db").exists()
            harms.count("not taken before" if "not yet in MLflow" in process.output else "taken during the run")
            proxy.shutdown()
            proxy.server_close()
