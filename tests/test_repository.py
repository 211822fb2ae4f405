"""Rules for contributors: one list of checks, one version, tests in the expected files, mends of one form."""

from __future__ import annotations

import ast
import re
import runpy
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_pre_commit_has_the_checks_of_nox(monkeypatch: pytest.MonkeyPatch) -> None:
    nox = SimpleNamespace(session=lambda function: function, options=SimpleNamespace(), Session=object)
    monkeypatch.setitem(sys.modules, "nox", nox)  # not installed with the test suite
    checks = runpy.run_path(str(ROOT / "noxfile.py"))["CHECKS"]
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == [" ".join(check) for check in checks]


def test_the_version_is_one() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert str(citation["version"]) == PROJECT["version"]
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == PROJECT["version"]


def test_the_paths_of_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:gantk|plugins|tests|docs|recipes)/[\w./]*)`|\]\(([\w./]+)\)", text)
    assert len(named) > 20
    assert [path for pair in named for path in pair if path and not (ROOT / path).exists()] == []


DECLARATIONS = {
    "gantk/__main__.py",
    "gantk/api/display.py",
    "gantk/components.py",
    "gantk/labels.py",
    "gantk/launching/job.py",
    "gantk/plugins/api.py",
    "gantk/plugins/hookspecs.py",
    "gantk/runs/names.py",
    "gantk/sweeps/display.py",
    "gantk/testing/batches.py",
    "gantk/translation/kept.py",
}
"""Modules of constants, types and empty hooks, in which there is nothing to test."""


def test_every_module_has_a_test_file_of_its_name() -> None:
    modules = [path for top in ("gantk", "plugins") for path in (ROOT / top).rglob("*.py") if path.stem != "__init__"]
    lacking = set()
    for path in modules:
        top, *rooms = path.relative_to(ROOT).parent.parts
        place = Path("plugins") if top == "plugins" else Path(*rooms)
        if not (ROOT / "tests" / place / f"test_{path.stem.strip('_')}.py").is_file():
            lacking.add(path.relative_to(ROOT).as_posix())
    assert len(modules) > 300
    assert lacking == DECLARATIONS


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_forms_of_issues_are_yaml(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert path.name == "config.yml" or {"name", "description", "body"} <= form.keys()


def mends(path: Path) -> Iterator[tuple[int, str]]:
    """The beginnings of all mends that are written out in a module."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.keyword) or call.arg != "mend":
            continue
        choices = [call.value.body, call.value.orelse] if isinstance(call.value, ast.IfExp) else [call.value]
        for choice in choices:
            first = choice.values[0] if isinstance(choice, ast.JoinedStr) else choice
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield choice.lineno, first.value


ROOMS = [
    "api",
    "cli",
    "evaluation",
    "launching",
    "phantom",
    "plugins",
    "report",
    "runs",
    "scaffold",
    "sweeps",
    "tables",
]


@pytest.mark.parametrize("room", [*(f"gantk/{room}" for room in ROOMS), "gantk/tracking", "plugins/gantk_baselines"])
def test_mends_begin_without_a_capital(room: str) -> None:
    found = [(str(path), *mend) for path in sorted((ROOT / room).rglob("*.py")) for mend in mends(path)]
    assert [mend for mend in found if not re.match(r"[a-z`$]", mend[2])] == []
