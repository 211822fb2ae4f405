"""The folder of a sweep: `sweep.json`, the recipe as written, and a folder per child, ready to run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from gantk.errors import UsageError
from gantk.files import write_text
from gantk.names import path_in
from gantk.recipe import dump_recipe
from gantk.recipe.rows import read_rows, write_rows
from gantk.recipe.variants import Child, Sweep
from gantk.runs.files import RECIPE, SWEEP, RunFiles, is_sweep
from gantk.runs.folders import RUNS, recipe_of
from gantk.runs.lock import alone
from gantk.runs.names import CHILD, CHILDREN
from gantk.runs.sweeps import child_folder, sweep_head

__all__ = ["folder_of", "plugins_of", "write", "written"]


def folder_of(name: str, out: Path | None) -> Path:
    return path_in((out or Path(RUNS)).absolute(), name)


def write(folder: Path, sweep: Sweep) -> None:
    """Create the sweep's folder and the folders of all children, ready to run; existing files are kept."""
    if (folder / RECIPE).is_file() and not is_sweep(folder):
        raise UsageError("a run with this name already exists", where=folder, mend="give the sweep another name")
    entries = [
        {"id": c.id, "variant": c.variant, "changes": c.changes, "label": c.label, "report": write_rows(c.report)}
        for c in sweep.children
    ]
    head: dict[str, Any] = {"name": sweep.name, "description": sweep.description, "recipe": sweep.path.name}
    if sweep.reference:
        head["reference"] = sweep.reference
    head["children"] = entries
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            for child, entry in zip(sweep.children, entries, strict=True):
                own = child_folder(folder, child.id)
                own.mkdir(parents=True, exist_ok=True)
                _keep(own / CHILD, _dumped({"parent": sweep.name} | entry))
                if not RunFiles(own).checkpoint:  # `gantk evaluate` may have changed the recipe later
                    _keep(own / RECIPE, dump_recipe(child.recipe))
            _keep(folder / RECIPE, tomli_w.dumps(sweep.table))
            _keep(folder / SWEEP, _dumped(head))
    except OSError as error:
        raise UsageError(
            "the sweep's folder cannot be created",
            where=folder,
            why=error,
            mend="choose another folder with --out",
        ) from error


def plugins_of(folder: Path) -> list[dict[str, Any]]:
    """The plugins that the children started with, each once; empty if none has started."""
    found: dict[str, dict[str, Any]] = {}
    for child in folder.glob(f"{CHILDREN}/*"):
        found |= {plugin["name"]: plugin for plugin in RunFiles(child).plugins}
    return list(found.values())


def written(folder: Path) -> tuple[list[Child], dict[str, Any]]:
    """The children that a sweep's folder lists, and its recipe as written.

    Raises:
        UsageError: the folder does not belong to a sweep, or its files are damaged.
    """
    head = sweep_head(folder)
    try:
        children = [_child(child_folder(folder, entry["id"]), entry) for entry in head["children"]]
        return children, tomllib.loads((folder / RECIPE).read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "the sweep's folder is damaged",
            where=folder,
            why=f"{type(error).__name__}: {error}",
            mend="run its recipe again; finished runs are kept",
        ) from error


def _child(folder: Path, entry: dict[str, Any]) -> Child:
    return Child(
        entry["id"],
        entry["variant"],
        entry["changes"],
        entry["label"],
        read_rows(entry["report"]),
        recipe_of(folder),
    )


def _keep(path: Path, text: str) -> None:
    """Write a file unless it already has this content."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)


def _dumped(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
