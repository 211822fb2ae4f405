"""A run stopped at any moment and resumed gives what the run that was never stopped gives, bit for bit."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest


def test_smoke(server, recipe, tmp_path):
    t = time.time()
    p = server.start(tmp_path, "run", recipe)
    code = p.wait()
    print(code, time.time() - t)
    print(p.output)
    print(len((p.run / "metrics.jsonl").read_text().splitlines()))
    assert code == 0
