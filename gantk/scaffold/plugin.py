"""A plugin's distribution from templates: one module with a small component, ready to be tested and published."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from gantk.errors import UsageError, nearest
from gantk.files import atomic_folder
from gantk.plugins.api import API

__all__ = ["PLUGIN_KINDS", "new_plugin"]

TEMPLATES = Path(__file__).with_name("templates")
#: The kinds that there are templates for.
PLUGIN_KINDS = ("loss", "weight_map", "generator", "discriminator", "transform", "scheduler", "dataset", "metric")


def new_plugin(name: str, kind: str, parent: Path = Path()) -> list[Path]:
    """Write the folder NAME with a distribution that supplies one component of a kind.

    Args:
        name: of the distribution; the module, the plugin and the component are called so with `_` for `-`.
        kind: one of `PLUGIN_KINDS`, `-` for `_` allowed.
        parent: where the folder is made.

    Returns:
        The files written, relative to `parent`.

    Raises:
        UsageError: the name or kind cannot be used, or the folder is there already.
    """
    kind = kind.replace("-", "_")
    if kind not in PLUGIN_KINDS:
        raise UsageError(f"{kind!r} is not a kind of plugin", where="--kind", mend=nearest(kind, PLUGIN_KINDS))
    module = name.replace("-", "_")
    _check_name(name, module)
    folder = parent / name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("this already exists", where=folder, mend="give the plugin another name")
    words = re.split(r"[-_]+", name)
    facts = {
        "name": name,
        "module": module,
        "kind": kind,
        "plural": "losses" if kind == "loss" else f"{kind}s",
        "cls": "".join(word[:1].upper() + word[1:] for word in words if word),
        "conformance": "".join(word.capitalize() for word in kind.split("_")) + "Conformance",
        "gantk": ".".join(version("gantk").split(".")[:2]),
        "api": API,
    }
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "recipe.toml": "recipe.toml",
        ".gitignore": "gitignore",
        f"{module}.py": f"kinds/{kind}.py",
        f"tests/test_{module}.py": "test.py",
    }
    try:
        with atomic_folder(folder) as new:
            for path, template in files.items():
                (new / path).parent.mkdir(exist_ok=True)
                (new / path).write_text(_fill(template, facts), encoding="utf-8")
    except OSError as error:
        raise UsageError("the folder cannot be made", where=folder, why=error) from error
    return [Path(name) / path for path in files]


def _check_name(name: str, module: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) or keyword.iskeyword(module):
        raise UsageError(
            f"a plugin cannot be called {name!r}",
            mend="use lowercase letters and digits, in words separated by `-`: my-loss",
        )
    if module in sys.stdlib_module_names or importlib.util.find_spec(module) is not None:
        raise UsageError(f"the module {module!r} already exists", mend="give the plugin another name")


def _fill(template: str, facts: Mapping[str, object]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{template}.jinja").render(facts)
