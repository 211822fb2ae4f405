"""The children in a sweep's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gantk.errors import UsageError
from gantk.files import read_json
from gantk.names import path_in
from gantk.runs.names import CHILD, CHILDREN, SWEEP

__all__ = ["child_folder", "children_of", "sweep_head"]


def child_folder(sweep: Path, child: str) -> Path:
    """The folder of a sweep's child, by its id."""
    return path_in(sweep / CHILDREN, child)


def children_of(sweep: Path) -> list[Path]:
    """The existing folders of children, sorted, whether or not `sweep.json` lists them."""
    return sorted(path.parent for path in sweep.glob(f"{CHILDREN}/*/{CHILD}"))


def sweep_head(folder: Path) -> dict[str, Any]:
    """The content of `sweep.json`, or of the children's `child.json` files if it is missing.

    Raises:
        UsageError: the folder does not belong to a sweep, or the file is damaged.
    """
    path = folder / SWEEP
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        head = _from_children(folder)
    except (OSError, ValueError, RecursionError) as error:
        why = (error.strerror or error) if isinstance(error, OSError) else "it is truncated or not JSON"
        raise _damaged(path, why) from None
    children = head.get("children") if isinstance(head, dict) else None
    if not isinstance(children, list) or not all(map(_is_child, children)):
        raise _damaged(path, "it does not have the content that gantk writes")
    if not children:
        raise UsageError("this is not the folder of a sweep", where=folder, why=f"it has no {SWEEP} with children")
    return dict(head)


def _is_child(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str)


def _from_children(folder: Path) -> dict[str, Any]:
    found = [(child.name, read_json(child / CHILD)) for child in children_of(folder)]
    names = [facts["parent"] for _, facts in found if isinstance(facts.get("parent"), str)]
    return {
        "name": names[0] if names else folder.name,
        "children": [{k: v for k, v in facts.items() if k != "parent"} | {"id": id_} for id_, facts in found],
    }


def _damaged(path: Path, why: object) -> UsageError:
    return UsageError(
        "the sweep's folder is damaged", where=path, why=why, mend="run its recipe again; finished runs are kept"
    )
