"""A tiny sweep in an MLflow store, the UI on it, and a browser; `nox -s ui` runs these tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browser import Browser, binary

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def wanted() -> None:
    """These tests take minutes and a browser."""
    if not os.environ.get("GANTK_UI"):
        pytest.skip("the browser's tests run in a session of their own: nox -s ui")
    if sys.platform == "win32":
        pytest.skip("the browser is spoken to over a pipe that Windows has not got")
    if binary() is None:
        pytest.skip("there is no Chromium: install the package chromium")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for pictures: `docs/images`, or a temporary folder with `GANTK_UI=look`."""
    return tmp_path_factory.mktemp("pictures") if os.environ["GANTK_UI"] == "look" else ROOT / "docs" / "images"


@pytest.fixture(scope="session")
def runs(wanted: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs' folder with the sweep `example` and its store; `GANTK_UI_RUNS` names an existing one."""
    if there := os.environ.get("GANTK_UI_RUNS"):
        return Path(there)
    folder = tmp_path_factory.mktemp("work")
    _gantk("run", str(ROOT / "tests" / "ui" / "sweep.toml"), "--device", "cpu", folder=folder)
    return folder / "runs"


@pytest.fixture(scope="session")
def server(runs: Path) -> Iterator[str]:
    """The address of `gantk ui`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gantk", "ui", "--runs", str(runs), "--port", str(_free())],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("MLflow UI: "), said
        yield said.removeprefix("MLflow UI: ").strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


@pytest.fixture(scope="session")
def browser(wanted: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def _gantk(*arguments: str, folder: Path) -> None:
    command = [sys.executable, "-P", "-m", "gantk", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr


def _free() -> int:
    from gantk.tracking.ui import free_port

    return free_port()
