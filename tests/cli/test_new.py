"""`gantk new`: what it writes passes its own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gantk.cli.main import app
from gantk.recipe import dump_recipe, load_recipe
from gantk.recipe.variants import is_sweep
from gantk.scaffold.plugin import PLUGIN_KINDS, TEMPLATES
from gantk.scaffold.recipe import shipped_recipes


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plugin", "My Loss", "--kind", "loss"], "cannot be called 'My Loss'"),
        (["plugin", "json", "--kind", "loss"], "there is a module 'json' already"),
        (["plugin", "gantk", "--kind", "loss"], "there is a module 'gantk' already"),
        (["plugin", "my-loss", "--kind", "los"], "did you mean 'loss'?"),
        (["recipe", "mine", "--like", "pix2pixx"], "did you mean 'pix2pix'?"),
        (["recipe", "mine", "--like", "tables/table1"], "describes several runs"),
        (["recipe", "../mine", "--like", "pix2pix"], "a recipe cannot be called '../mine'"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = call("new", *arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for arguments in (["plugin", "my-loss", "--kind", "loss"], ["recipe", "mine", "--like", "pix2pix"]):
        assert call("new", *arguments, "--out", tmp_path).exit_code == 0
        again = call("new", *arguments, "--out", tmp_path)
        assert again.exit_code == 2
        assert "there already" in again.stderr


ALONE = sorted(name for name, path in shipped_recipes().items() if not is_sweep(path))


@pytest.mark.parametrize("like", ALONE)
def test_a_recipe_like_another_is_the_same_under_another_name(tmp_path: Path, like: str) -> None:
    assert call("new", "recipe", "mine", "--like", like, "--out", tmp_path).exit_code == 0
    made, model = load_recipe(tmp_path / "mine.toml"), load_recipe(shipped_recipes()[like])
    assert dump_recipe(made) == dump_recipe(model.model_copy(update={"name": "mine"}))
    assert "extends" not in tomllib.loads((tmp_path / "mine.toml").read_text(encoding="utf-8"))


def test_comments_stay_and_a_schema_is_named_where_it_lies(tmp_path: Path) -> None:
    call("new", "recipe", "one", "--like", "pix2pix", "--out", tmp_path)
    assert (tmp_path / "one.toml").read_text(encoding="utf-8").startswith("# Pix2Pix (Isola et al., 2017)")
    assert call("new", "recipe", "two", "--like", "pix2pix", "--schema", "--out", tmp_path).exit_code == 0
    assert (tmp_path / "two.toml").read_text(encoding="utf-8").startswith("#:schema gantk.schema.json\n# Pix2Pix")
    assert call("new", "recipe", "three", "--like", tmp_path / "two.toml", "--out", tmp_path).exit_code == 0
    assert (tmp_path / "three.toml").read_text(encoding="utf-8").count("#:schema") == 1
