"""Waiting for another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(ask: Callable[[], Any], seconds: float = 240.0) -> Any:
    """Wait until `ask` returns a true value, and return it."""
    ends = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.002)
    return answer
