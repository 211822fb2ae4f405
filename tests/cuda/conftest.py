"""Tests of a GPU: they run wherever there is one (`nox -s gpu`), and are skipped elsewhere.

`GANTK_TEST_DEVICE=cpu pytest tests/cuda` tries the tests themselves where there is none.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tiny_runs import *  # noqa: F403  fixtures

DEVICE = os.environ.get("GANTK_TEST_DEVICE", "cuda")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = DEVICE == "cuda" and not torch.cuda.is_available()
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("cuda")
            if lacking:
                item.add_marker(pytest.mark.skip(reason="there is no CUDA device here"))


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device(DEVICE)
