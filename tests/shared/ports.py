"""Ports of this computer for tests that run at the same time: never 5000, which `gantk ui` takes where it is free."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def free_port() -> int:
    """A port that no server has, for one that starts now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def dead_port() -> Iterator[int]:
    """A port that refuses connections, and that no server can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        yield bound.getsockname()[1]
