"""Rules for the whole source: directions of imports, time of loading, and independence of the core from methods."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import gantk
from gantk import errors

ROOT = Path(__file__).parents[1]
PLUGINS = ("gantk_baselines", "gantk_ds3net")
CORE = sorted((ROOT / "gantk").rglob("*.py"))
PLUGIN_FILES = sorted(path for plugin in PLUGINS for path in (ROOT / "plugins" / plugin).rglob("*.py"))

LONGEST = 320  # lines of a module

# Methods and the roles of one method. "generator" and "discriminator" are the core's own words.
METHODS = re.compile(
    r"teacher|student|distil|difficult|pix2pix|cycle_?gan|medgan|mm_?gan|pgan|resvit|ds3|\bcut\b|\bnce\b", re.IGNORECASE
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- imports ------------------------------------------------------------------------------------------------


def test_imports_go_one_way_and_the_core_imports_no_plugin(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--cache-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


def test_every_room_has_its_place_in_the_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {f"gantk.{path.parent.name}" for path in (ROOT / "gantk").glob("*/__init__.py")}
    assert rooms == set(layers)


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=relative)
def test_plugins_import_only_the_public_api(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                assert name.name.split(".")[0] != "gantk" or name.name == "gantk", f"line {node.lineno}: {name.name}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gantk":
            public = {"gantk": gantk.__all__, "gantk.errors": errors.__all__}
            assert node.module in public, f"line {node.lineno}: {node.module} is not public"
            for name in node.names:
                assert name.name in public[node.module], f"line {node.lineno}: {name.name} is not public"


def test_everything_public_exists() -> None:
    for name in gantk.__all__:
        assert getattr(gantk, name) is not None
    assert set(gantk.__all__) <= set(dir(gantk))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = gantk.nonsense


# --- what loads when ----------------------------------------------------------------------------------------

HEAVY = ["torch", "mlflow", "numpy", "nibabel", "timm", "kornia", "matplotlib"]
LOADED = f"import sys; print([m for m in {HEAVY} if m in sys.modules])"


@pytest.mark.parametrize(
    "code",
    [
        "import gantk",
        "import gantk.errors",
        "import gantk.recipe",
        "import gantk.plugins",
        "import gantk.training.scheduler",
        "import gantk.cli.main",
        "from typer.testing import CliRunner; from gantk.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0",
    ],
    ids=lambda code: code.splitlines()[0][:40],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    assert python(f"{code}\n{LOADED}") == "[]\n"


def test_nothing_is_loaded_at_import_time_that_plugins_bring() -> None:
    code = "import gantk, gantk.cli.main, sys; print([m for m in sys.modules if m.startswith('gantk_')])"
    assert python(code) == "[]\n"


# --- the core knows no method ---------------------------------------------------------------------------------


def words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every identifier and every string of a module but its docstrings, with its line."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield line, node.value
        else:
            for field in ("id", "attr", "arg", "name", "module", "asname"):
                value = getattr(node, field, None)
                if isinstance(value, str):
                    yield line, value


@pytest.mark.parametrize("path", CORE, ids=relative)
def test_the_core_names_no_method(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [(line, word) for line, word in words(tree) if METHODS.search(word)]
    if path.parent.name == "phantom":  # where skulls are cut
        found = [(line, word) for line, word in found if not re.search("cut", word, re.IGNORECASE)]
    assert not found


def test_the_search_for_methods_finds_them() -> None:
    code = '"""The teacher."""\nTeacher = 1\ndef f(student_rate): return x.ds3\ny = g("difficulty map", lsgan_cut=2)\n'
    lines = {line for line, word in words(ast.parse(code)) if METHODS.search(word)}
    assert lines == {2, 3, 4}


def test_modules_stay_short() -> None:
    """A module with one idea is short enough; shorten a longer one, then divide it."""
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*CORE, *PLUGIN_FILES]}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_nothing_stands_in_for_what_is_not_done() -> None:
    for path in [*CORE, *PLUGIN_FILES]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", text), relative(path)
