"""The API reference: mkdocstrings' directives for the public names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import gantk
import gantk.testing
from _generate.words import escape, table
from gantk.plugins.docstring import parse

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
    made = []
    for name in names(gantk.testing):
        made.append(_directive(f"gantk.testing.{name}", _place(gantk.testing, name), level=2))
        if name.endswith("Conformance"):
            made.append(_checks(getattr(gantk.testing, name)))
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
        options["members"] = "false"  # tables say it in a tenth of the room
    elif _has_private_base(place):
        options["inherited_members"] = "true"  # they have no entry of their own
    return f"::: {place}\n    options:\n" + "".join(f"      {key}: {value}\n" for key, value in options.items())


def _has_private_base(place: str) -> bool:
    """Whether a class has a base in gantk that is not public."""
    module, _, name = place.rpartition(".")
    bases = getattr(getattr(import_module(module), name), "__mro__", ())[1:]
    return any(base.__module__.startswith("gantk") and base.__name__ not in gantk.__all__ for base in bases)


def _checks(kind: type) -> str:
    """Two tables: the checks of a conformance class, and what else its subclasses may use or replace."""
    said = dict(_said(kind))
    common = {} if kind is gantk.testing.Conformance else dict(_said(gantk.testing.Conformance))
    checks = [(f"`{name}`", about) for name, about in said.items() if name.startswith("test_")]
    others = [(f"`{n}`", about) for n, about in said.items() if not n.startswith("test_") and n not in common]
    parts = [table(("check", "what it asks"), checks)] if checks else []
    return "\n".join([*parts, table(("member", ""), others)] if others else parts)


def _said(kind: type) -> Iterator[tuple[str, str]]:
    """Public methods and properties, the base classes' first, with the first sentence of each."""
    for name in dict.fromkeys(name for owner in reversed(kind.__mro__[:-1]) for name in vars(owner)):
        member = inspect.getattr_static(kind, name)
        about = inspect.getdoc(member) if not isinstance(member, type) and member is not None else None
        if not name.startswith("_") and about and (callable(member) or hasattr(member, "__get__")):
            yield name, escape(parse(about).summary)
