"""Run folders: creating and finding them, and their status."""

from __future__ import annotations

import errno
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gantk.data.split import Split
from gantk.errors import RecipeError, UsageError, nearest
from gantk.files import atomic_folder, sweep_partial, write_text
from gantk.names import path_in
from gantk.recipe import Recipe, recipe_from_table
from gantk.recipe.merge import overlay
from gantk.recipe.origin import File, Origins, Overrides
from gantk.recipe.overrides import Changes, change_of, recipe_change, said_as
from gantk.runs.files import RECIPE, SPLIT, STATUS, RunFiles, is_run, runs_in

RUNS = "runs"


def make_run_folder(
    recipe_name: str,
    recipe: str,
    split: Split,
    parent: Path | None = None,
    fill: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Create `PARENT/NAME-DATE-TIME-HEX` (parent: `./runs`) with recipe and split, atomically.

    A killed process therefore leaves either a run that can be resumed or nothing.

    Args:
        recipe_name: the beginning of the folder's name.
        recipe: the recipe as TOML.
        split: the split of the patients.
        parent: the folder of the runs.
        fill: writes any further initial files into the new folder.

    Raises:
        OSError: the folder cannot be created.
    """
    parent = (parent or Path(RUNS)).absolute()
    sweep_partial(parent)
    folder = path_in(parent, f"{recipe_name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    with atomic_folder(folder) as fresh:
        split.to_csv(fresh / SPLIT)
        write_text(fresh / RECIPE, recipe)
        fill(fresh)
    return folder


def resolve_run(text: str | Path, runs: Path | None = None) -> Path:
    """Find the folder of a run or sweep by its path, its id or a unique start of its id.

    Args:
        text: the path, id or start of the id.
        runs: the folder of the runs; default: `./runs`.

    Raises:
        UsageError: no run matches, or several.
    """
    path = Path(text)
    if is_run(path):
        return path.absolute()
    there = runs_in(runs or Path(RUNS))
    matches = [run for run in there if run.name == str(text)] or [r for r in there if r.name.startswith(str(text))]
    if len(matches) == 1:
        return matches[0].absolute()
    if matches:
        raise UsageError(f"{str(text)!r} is the start of the ids of {len(matches)} runs", mend="write more of the id")
    raise UsageError(
        f"there is no run {str(text)!r}",
        where=path if path.exists() else None,
        why=f"it is neither a run folder nor the id of a run under {runs or f'./{RUNS}'}",
        mend=nearest(str(text), [run.name for run in there]) if there else None,
    )


def recipe_of(folder: Path, overrides: Changes = ()) -> Recipe:
    """The recipe of a run with overrides; from its checkpoint if `recipe.toml` is damaged.

    Raises:
        RecipeError: the recipe is damaged and there is no checkpoint, or an override does not fit.
        UsageError: an override cannot be read.
    """
    files = RunFiles(folder)
    text = files.recipe_text()
    if not text:
        raise RecipeError("the run has no recipe", where=folder / RECIPE, mend="restore it from a copy")
    table, given = files.recipe(), Overrides(recipe_change(overrides), said_as(overrides))
    origins = Origins((given, File(folder / RECIPE, files.recipe())))
    overlay(table, given.table, given.where)
    return recipe_from_table(table, origins)


def recipe_to_measure(folder: Path, overrides: Changes) -> Recipe:
    """The recipe of a trained run, with changed evaluation settings.

    Raises:
        UsageError: an override is outside `[evaluation]` and `[inference]`.
        RecipeError: an override is invalid.
    """
    for table, change in change_of(overrides).items():
        if table not in ("evaluation", "inference") or not isinstance(change, dict):
            raise UsageError(
                f"{table!r} cannot change in a run that is trained",
                mend='change only keys of [evaluation] and [inference], such as evaluation.regions=["image", "et"]',
            )
    return recipe_of(folder, overrides)


def spoken(folder: Path) -> str:
    """The shortest name by which `resolve_run` finds a run from the working directory."""
    return folder.name if folder.parent == Path(RUNS).absolute() else str(folder)


class Status:
    """`status.json`: the state of a run, rewritten completely at each change."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / STATUS
        self.facts: dict[str, Any] = dict(RunFiles(folder).status())

    def update(self, **facts: Any) -> None:
        """Change some entries and write the file.

        Raises:
            OSError: the file cannot be written.
        """
        self.facts |= facts | {"updated": time.time()}
        text = json.dumps(self.facts, indent=1) + "\n"
        try:
            write_text(self.path, text)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self.path.is_file():
                raise
            # a full disk has no room for a temporary file; if this one is torn, it is restored from the other files
            with self.path.open("r+", encoding="utf-8") as file:
                file.write(text)
                file.truncate()
