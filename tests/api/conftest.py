from pathlib import Path
from typing import Any

import pytest

import gantk
from tiny_runs import *  # noqa: F403  fixtures


@pytest.fixture(scope="session")
def run(uninterrupted: Any) -> Path:
    return uninterrupted("plain")


@pytest.fixture(scope="session")
def model(run: Path) -> gantk.Model:
    return gantk.load(run, device="cpu")
