"""The API reference: mkdocstrings' directives for the public names."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import gantk
import gantk.testing

__all__ = ["api_page", "names", "testing_page"]

#: The sections of the reference: a name belongs to the first one that begins its module.
SECTIONS = {
    "gantk.api": "Running",
    "gantk.translation": "Networks, losses, weight maps and transforms",
    "gantk.training": "Schedulers",
    "gantk.evaluation": "Metrics",
    "gantk.launching": "Launchers",
    "gantk.plugins": "Plugins",
    "gantk.data": "Data",
    "gantk.errors": "Errors",
}
INTRODUCTION = """# Python API

The names that `import gantk` gives, from their docstrings; everything else inside the package may change. Names are
resolved on first use, so that `import gantk` loads neither torch nor MLflow. Images are `(B, C, H, W)`, float, in
[-1, 1] with background exactly -1 unless something else is said.

"""
TESTING = """# gantk.testing

The conformance classes and helpers for tests of plugins; [Testing a plugin](../testing.md) explains their use.

"""


def api_page() -> str:
    """The public names of `gantk`, and the hooks."""
    sections: dict[str, list[str]] = {title: [] for title in [*SECTIONS.values(), "Further"]}
    for name in names(gantk):
        place = _place(gantk, name)
        title = next((title for start, title in SECTIONS.items() if place.startswith(start)), "Further")
        sections[title].append(_directive(f"gantk.{name}", place))
    parts = [f"## {title}\n\n" + "\n".join(found) for title, found in sections.items() if found]
    hooks = (
        "## Hooks\n\nWhat a plugin may implement; see [Writing plugins](../plugins.md).\n\n"
        "::: gantk.plugins.hookspecs\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n"
        "      heading_level: 3\n      show_docstring_description: true\n"
    )
    return INTRODUCTION + "\n".join([*parts, hooks])


def testing_page() -> str:
    """The public names of `gantk.testing`."""
    made = [_directive(f"gantk.testing.{name}", _place(gantk.testing, name), level=2) for name in names(gantk.testing)]
    return TESTING + "\n".join(made)


def names(package: ModuleType) -> list[str]:
    """What a package makes public, but for its modules."""
    return [name for name in package.__all__ if not isinstance(getattr(package, name), ModuleType)]


def _place(package: ModuleType, name: str) -> str:
    """Where a name is defined, which is not always where it is taken from."""
    home = getattr(getattr(package, name), "__module__", "")
    if home.startswith("gantk") and hasattr(import_module(home), name):
        return f"{home}.{name}"
    stub = Path(str(package.__file__)).with_suffix(".pyi").read_text(encoding="utf-8")
    found = re.search(rf"^from \.(\S+) import {name}\b", stub, re.MULTILINE)
    assert found, name
    return f"{package.__name__}.{found[1]}.{name}"


def _directive(name: str, place: str, level: int = 3) -> str:
    options = {"heading": name, "toc_label": name, "heading_level": level}
    if name.endswith("Conformance"):
        options["inherited_members"] = "true"
    return f"::: {place}\n    options:\n" + "".join(f"      {key}: {value}\n" for key, value in options.items())
