"""The examples of docs/examples as a new user finds them: installed from wheels in a separate environment.

gantk and the examples are built and installed there; of each example only its tests and its recipe are copied, so that
its package can come from nowhere but the wheel. Their `gantk run` and `pytest` are one here: the tests train the recipe
for two steps on a tiny cohort, through the installed plugin.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import sys
import tomllib
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest

import gantk

sys.path.insert(0, str(Path(__file__).parents[1]))

from stranger import Fresh, build_wheel

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "gantk-focal-frequency": {"depends": "kornia", "tests": 50},
    "gantk-monai": {"depends": "monai", "tests": 38},
    "gantk-tiff-stacks": {"depends": "tifffile", "tests": 9},
    "gantk-weight-averaging": {"depends": "torch", "tests": 6},
}
"""What each needs besides gantk, and how many of its tests must pass at least."""


def source(name: str) -> Path:
    return ROOT / "docs" / "examples" / name


def package(name: str) -> str:
    return name.replace("-", "_")


def commands(name: str) -> list[list[str]]:
    """The commands of an example's README."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (source(name) / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of gantk and of the examples, by distribution."""
    sources = {"gantk": ROOT} | {name: source(name) for name in EXAMPLES}
    return {name: build_wheel(path, tmp_path_factory.mktemp(name)) for name, path in sources.items()}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Fresh:
    made = Fresh(tmp_path_factory.mktemp("examples"))
    made.install(*wheels.values())
    for name in EXAMPLES:
        (made.here / name).mkdir()
        shutil.copy(source(name) / "recipe.toml", made.here / name)
        shutil.copytree(
            source(name) / "tests", made.here / name / "tests", ignore=shutil.ignore_patterns("__pycache__")
        )
    return made


def requirements(wheel: Path) -> list[str]:
    """The requirements of a wheel, without extras."""
    with ZipFile(wheel) as archive:
        (metadata,) = (archive.read(n).decode() for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    found = re.findall(r"^Requires-Dist: ([\w.-]+)(.*)$", metadata, re.MULTILINE)
    return [name for name, rest in found if "extra ==" not in rest]


def test_all_examples_are_here() -> None:
    assert {path.name for path in (ROOT / "docs" / "examples").iterdir() if path.is_dir()} == EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_wheel_holds_the_package_and_says_what_it_needs(wheels: dict[str, Path], name: str) -> None:
    with ZipFile(wheels[name]) as archive:
        tops = {entry.split("/")[0] for entry in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {package(name)}
    assert requirements(wheels[name]) == ["gantk", EXAMPLES[name]["depends"]]


def test_monai_is_no_dependency_of_gantk(wheels: dict[str, Path]) -> None:
    needed = requirements(wheels["gantk"])
    assert "torch" in needed
    assert "monai" not in needed


def test_plugins_are_loaded_from_the_wheels(fresh: Fresh) -> None:
    plugins = {plugin["distribution"]: plugin for plugin in json.loads(fresh.call("gantk", "plugins", "--json"))}
    assert plugins.keys() == {"gantk", *EXAMPLES}
    assert {plugin["state"] for plugin in plugins.values()} == {"loaded"}
    names = [package(name) for name in EXAMPLES]
    code = f"import importlib.util as u; print(*(u.find_spec(name).origin for name in {names}))"
    for file in fresh.call("python", "-c", code).split():
        assert fresh.packages in Path(file).parents


@pytest.mark.parametrize("name", EXAMPLES)
def test_gantk_shows_the_components(fresh: Fresh, name: str) -> None:
    asked = [command for command in commands(name) if command[:2] == ["gantk", "show"]]
    assert asked
    for command in asked:
        shown = json.loads(fresh.call(*command, "--json"))
        assert (shown["distribution"], shown["version"]) == (name, "0.1.0")
        assert shown["summary"]
        assert shown["sources"]
        assert all(parameter["doc"] for parameter in shown["parameters"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_recipe_is_valid(fresh: Fresh, name: str) -> None:
    assert ["gantk", "run", "recipe.toml"] in commands(name)
    assert "is valid" in fresh.call("gantk", "validate", f"{name}/recipe.toml")


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_own_tests_pass_and_train_its_recipe(fresh: Fresh, name: str) -> None:
    assert ["pytest"] in commands(name)
    fresh.call("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={name}.xml", name)
    found: Counter[str] = Counter()
    trained = False
    for case in ElementTree.parse(fresh.here / f"{name}.xml").iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[kinds.pop() if kinds else "passed"] += 1
        trained |= case.get("name") == "test_recipe_trains" and not kinds
    assert found["failure"] == found["error"] == 0
    assert found["passed"] >= EXAMPLES[name]["tests"]
    assert trained


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_uses_the_public_api_alone(name: str) -> None:
    used = set()
    for path in source(name).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = {alias.name for alias in node.names if alias.name.split(".")[0] == "gantk"}
                assert modules <= {"gantk", "gantk.testing"}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "gantk", path
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gantk":
                used.add(node.attr)
    assert {"hookimpl", "testing"} <= used
    assert used <= {*gantk.__all__, "testing"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_distribution_is_said_completely(name: str) -> None:
    project = tomllib.loads((source(name) / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == name
    assert list(project["entry-points"]["gantk"].values()) == [package(name)]
    assert any(line.startswith(EXAMPLES[name]["depends"]) for line in project["dependencies"])
    assert ["pip", "install", "-e", ".[test]"] in commands(name)
    assert "test" in project["optional-dependencies"]
