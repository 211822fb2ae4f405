"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(ask: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `ask` gives as soon as it is true."""
    ends = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.002)
    return answer
