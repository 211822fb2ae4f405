"""The API reference: mkdocstrings' directives for the public names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import gantk
import gantk.testing

__all__ = ["api_page", "testing_page"]

#: The sections of the reference: a name belongs to the first one that begins its module.
SECTIONS = {
    "gantk.api": "Running",
    "gantk.translation": "What losses and weight maps see",
    "gantk.training": "Schedulers",
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
    sections: dict[str, list[str]] = {title: [] for title in SECTIONS.values()}
    for name, module in gantk._PUBLIC.items():
        title = next((title for start, title in SECTIONS.items() if module.startswith(start)), "Further")
        sections.setdefault(title, []).append(_directive(f"gantk.{name}", _place(gantk, module, name)))
    parts = [f"## {title}\n\n" + "\n".join(found) for title, found in sections.items() if found]
    hooks = (
        "## Hooks\n\nWhat a plugin may implement; see [Writing plugins](../plugins.md).\n\n"
        "::: gantk.plugins.hookspecs\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n"
        "      heading_level: 3\n      show_docstring_description: true\n"
    )
    return INTRODUCTION + "\n".join([*parts, hooks])


def testing_page() -> str:
    """The public names of `gantk.testing`."""
    names = gantk.testing._PUBLIC
    made = [
        _directive(f"gantk.testing.{name}", _place(gantk.testing, f"gantk.testing.{module}", name), level=2)
        for name, module in names.items()
    ]
    made.append(_directive("gantk.testing.conformance", "gantk.testing.conformance", level=2))
    return TESTING + "\n".join(made)


def _place(package: Any, module: str, name: str) -> str:
    """Where a name is defined, which is not always where it is taken from."""
    found = getattr(package, name)
    home = getattr(found, "__module__", module) or module
    return f"{home if home.startswith('gantk') and hasattr(import_module(home), name) else module}.{name}"


def _directive(name: str, place: str, level: int = 3) -> str:
    options = {"heading": name, "toc_label": name, "heading_level": level}
    if name.endswith("Conformance"):
        options["inherited_members"] = "true"
    return f"::: {place}\n    options:\n" + "".join(f"      {key}: {value}\n" for key, value in options.items())
