"""Distributions that `gantk new` writes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from command_line import call
from gantk.recipe import load_recipe
from gantk.scaffold.plugin import PLUGIN_KINDS, TEMPLATES


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin of every kind."""
    folder = tmp_path_factory.mktemp("made")
    for kind in PLUGIN_KINDS:
        result = call("new", "plugin", f"the-{kind.replace('_', '-')}", "--kind", kind, "--out", folder)
        assert result.exit_code == 0, result.stderr
    return folder


def test_every_kind_has_a_template() -> None:
    assert sorted(PLUGIN_KINDS) == sorted(path.name.partition(".")[0] for path in (TEMPLATES / "kinds").iterdir())


def test_plugins_of_every_kind_pass_their_tests(made: Path) -> None:
    """In one process, with none of them installed."""
    folders = sorted(made.iterdir())
    assert len(folders) == len(PLUGIN_KINDS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", *folders],
        cwd=made,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_a_distribution_is_ready_to_be_published(made: Path) -> None:
    folder = made / "the-weight-map"
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == "the-weight-map"
    assert project["project"]["entry-points"]["gantk"] == {"the_weight_map": "the_weight_map"}
    (needed,) = project["project"]["dependencies"]
    assert needed.startswith("gantk>=")
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*") if p.suffix != ".pyc") == [
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "recipe.toml",
        "tests/test_the_weight_map.py",
        "the_weight_map.py",
    ]
    for file in folder.rglob("*.*"):
        assert file.suffix == ".pyc" or "{{" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", PLUGIN_KINDS)
def test_what_is_written_is_well_formed(made: Path, kind: str) -> None:
    folder = made / f"the-{kind.replace('_', '-')}"
    ruff = [sys.executable, "-m", "ruff"]
    done = subprocess.run([*ruff, "check", "--isolated", "-q", "."], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    load_recipe(folder / "recipe.toml")
