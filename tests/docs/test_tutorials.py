"""The tutorial's plugins, recipes and tests, run as an author runs them: in one folder, with pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

KINDS = {
    "charbonnier": 10,
    "relativistic": 10,
    "lazy_r1": 6,
    "uncertain_l1": 6,
    "rim": 6,
    "staircase": 3,
    "latest": 4,
    "plain": 15,
    "halved": 1,
    "pixelgan": 12,
    "noise": 6,
    "rarely_empty": 1,
    "plateau": 5,
    "signed": 4,
    "numpy_patients": 4,
    "rmse": 6,
    "diary": 1,
    "versioned": 8,
    "l1": 8,
    "recipe": 1,
}
"""How many tests must pass at least, by test file."""


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, write_files: Callable[..., list[Path]], cache: Path
) -> dict[str, Counter[str]]:
    """Passed, skipped and failed tests of each of the tutorial's test files; what they said of failures is printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    written = write_files(folder, "plugins.md", "testing.md")
    assert {path.stem for path in written if path.name.startswith("test_")} == {f"test_{name}" for name in KINDS}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=results.xml", "."]
    environment = os.environ | {"GANTK_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout[-20_000:], done.stderr[-2000:])
    found: dict[str, Counter[str]] = {name: Counter() for name in KINDS}
    for case in ElementTree.parse(folder / "results.xml").iter("testcase"):
        file = case.get("classname", "").split(".")[0].removeprefix("test_")
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[file][kinds.pop() if kinds else "passed"] += 1
    return found


@pytest.mark.parametrize("name", KINDS)
def test_code_of_the_page_runs(results: dict[str, Counter[str]], name: str) -> None:
    assert results[name]["failure"] == results[name]["error"] == 0
    assert results[name]["passed"] >= KINDS[name]


def test_every_python_file_of_the_page_is_tested(write_files: Callable[..., list[Path]], tmp_path: Path) -> None:
    written = [path.stem for path in write_files(tmp_path, "plugins.md") if path.suffix == ".py"]
    plugins = [name for name in written if not name.startswith("test_")]
    assert plugins == [name for name in KINDS if name not in ("l1", "recipe")]
    assert all(f"test_{name}" in written for name in plugins)


def test_entry_point_names_the_module(write_files: Callable[..., list[Path]], tmp_path: Path) -> None:
    import tomllib

    write_files(tmp_path, "plugins.md")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    (module,) = project["project"]["entry-points"]["gantk"].values()
    assert (tmp_path / f"{module}.py").is_file()
    assert f"{module}.py" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
