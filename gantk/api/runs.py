"""Run folders: making them, finding them, and what their status says."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gantk.errors import UsageError, nearest
from gantk.files import atomic_write, read_json
from gantk.names import path_in
from gantk.recipe.load import change_of, load_recipe
from gantk.recipe.model import Recipe

RUNS = "runs"


def new_run_folder(name: str, parent: Path | None = None) -> Path:
    """Make `PARENT/NAME-DATE-TIME-HEX` (parent: `./runs`), unique and empty."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = path_in((parent or Path(RUNS)).absolute(), f"{name}-{stamp}-{secrets.token_hex(2)}")
    folder.mkdir(parents=True)
    return folder


def resolve_run(text: str | Path) -> Path:
    """The folder of the run, or of the sweep, that a path, an id or the unique beginning of an id under `./runs` names.

    Raises:
        UsageError: there is none, or more than one.
    """
    path = Path(text)
    if (path / "recipe.toml").is_file():
        return path.absolute()
    runs = sorted(p.parent for where in ("*", "*/children/*") for p in Path(RUNS).glob(f"{where}/recipe.toml"))
    matches = [run for run in runs if run.name == str(text)] or [r for r in runs if r.name.startswith(str(text))]
    if len(matches) == 1:
        return matches[0].absolute()
    if matches:
        raise UsageError(f"{str(text)!r} is the beginning of {len(matches)} runs", mend="give more of its id")
    raise UsageError(
        f"there is no run {str(text)!r}",
        where=path if path.exists() else None,
        why=f"it is neither a run folder nor the id of a run under ./{RUNS}",
        mend=nearest(str(text), [run.name for run in runs]) if runs else None,
    )


def recipe_to_measure(folder: Path, overrides: Sequence[str]) -> Recipe:
    """The recipe of a trained run, measured otherwise.

    Raises:
        UsageError: an override is not of `[evaluation]`.
        RecipeError: it is wrong.
    """
    for table, change in change_of(overrides).items():
        if table != "evaluation" or not isinstance(change, dict):
            raise UsageError(
                f"{table!r} cannot change in a run that is trained",
                mend='change keys of [evaluation] alone, as in --set evaluation.regions=\'["image", "et"]\'',
            )
    return load_recipe(folder / "recipe.toml", overrides)


def plugins_of(run: Path) -> list[dict[str, Any]]:
    """The plugins that a run began with; none where it has not begun."""
    return list(read_json(run / "environment.json").get("plugins", ()))


def spoken(folder: Path) -> str:
    """The shortest name that `resolve_run` knows a run's folder by from here."""
    return folder.name if folder.parent == Path(RUNS).absolute() else str(folder)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder; a process that dies, however it does, gives it back.

    Raises:
        UsageError: another process works on the run.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            "another process is working on this run", where=folder, mend="wait for it, or stop it first"
        ) from None
    except OSError as error:
        raise UsageError(
            "the run's folder cannot be written",
            where=folder,
            why=error.strerror or error,
            mend="mend its permissions, or copy the folder",
        ) from None
    try:
        yield
    finally:
        lock.release()


class Status:
    """`status.json`: what a run is doing, rewritten as a whole."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "status.json"
        self.facts: dict[str, Any] = {}
        if self.path.is_file():
            self.facts = json.loads(self.path.read_text(encoding="utf-8"))

    def update(self, **facts: Any) -> None:
        """Change some facts and write all."""
        self.facts |= facts | {"updated": time.time()}
        with atomic_write(self.path) as temporary:
            temporary.write_text(json.dumps(self.facts, indent=1) + "\n", encoding="utf-8")
