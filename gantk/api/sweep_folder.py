"""The folder of a sweep: `sweep.json`, the recipe as written, and a folder per child, ready to be run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from gantk.api.runs import RUNS, alone
from gantk.errors import UsageError
from gantk.files import atomic_write, read_json
from gantk.names import path_in
from gantk.recipe import dump_recipe, load_recipe
from gantk.recipe.rows import read_rows, write_rows
from gantk.recipe.variants import Child, Sweep

__all__ = ["folder_of", "is_busy", "plugins_of", "write", "written"]


def folder_of(name: str, out: Path | None) -> Path:
    return path_in((out or Path(RUNS)).absolute(), name)


def write(folder: Path, sweep: Sweep) -> None:
    """The sweep's folder with those of all children, ready to be run; what is there already stays."""
    if (folder / "recipe.toml").is_file() and not (folder / "sweep.json").is_file():
        raise UsageError("there is a run of this name already", where=folder, mend="give the sweep another name")
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
                own = path_in(folder / "children", child.id)
                own.mkdir(parents=True, exist_ok=True)
                _keep(own / "child.json", _dumped({"parent": sweep.name} | entry))
                if not (own / "recipe.toml").is_file():
                    _keep(own / "recipe.toml", dump_recipe(child.recipe))
            _keep(folder / "recipe.toml", tomli_w.dumps(sweep.table))
            _keep(folder / "sweep.json", _dumped(head))
    except OSError as error:
        raise UsageError(
            "the sweep's folder cannot be made",
            where=folder,
            why=error.strerror or error,
            mend="give another place with --out",
        ) from error


def plugins_of(folder: Path) -> list[dict[str, Any]]:
    """The plugins that the children began with, each once; none where none has begun."""
    found: dict[str, dict[str, Any]] = {}
    for path in folder.glob("children/*/environment.json"):
        found |= {plugin["name"]: plugin for plugin in read_json(path).get("plugins", ())}
    return list(found.values())


def written(folder: Path) -> tuple[list[Child], dict[str, Any]]:
    """The children that a sweep's folder lists, and its recipe as written.

    Raises:
        UsageError: the folder is no sweep's, or its files are damaged.
    """
    head = read_json(folder / "sweep.json")
    if not head.get("children"):
        raise UsageError("this is no sweep's folder", where=folder, why="it holds no sweep.json with children")
    try:
        children = [
            _child(path_in(folder / "children", entry["id"]) / "recipe.toml", entry) for entry in head["children"]
        ]
        return children, tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "the sweep's folder is damaged",
            where=folder,
            why=f"{type(error).__name__}: {error}",
            mend="run its recipe again: what is finished stays",
        ) from error


def _child(path: Path, entry: dict[str, Any]) -> Child:
    return Child(
        entry["id"],
        entry["variant"],
        entry["changes"],
        entry["label"],
        read_rows(entry["report"]),
        load_recipe(path),
    )


def _keep(path: Path, text: str) -> None:
    """Write a file unless it says this already."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _dumped(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def is_busy(folder: Path, *, unknown: bool = True) -> bool:
    """Whether a process works on the run or the sweep; `unknown`: the answer where that cannot be asked."""
    if not (folder / ".lock").is_file():
        return False
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return unknown
    lock.release()
    return False
