"""Reading the files of a run's folder, even if they are damaged.

Missing, truncated, unreadable and malformed files are treated alike: their content is restored from other files of the
run if possible, and `damages` reports them. Only `mend` writes.
"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantk.errors import DataError, GantkWarning, RecipeError
from gantk.files import unsealed, write_text
from gantk.recipe.dotted import leaves
from gantk.runs.lines import read_lines
from gantk.runs.names import ENVIRONMENT, EVALUATION, JOURNAL, RECIPE, SPLIT, STATUS, SWEEP
from gantk.runs.reading import Bad, absent, last_line, read, read_object, read_typed

if TYPE_CHECKING:
    from gantk.data.split import Split

__all__ = [
    "ENVIRONMENT",
    "JOURNAL",
    "RECIPE",
    "SPLIT",
    "STATUS",
    "SWEEP",
    "Damage",
    "RunFiles",
    "is_run",
    "is_sweep",
    "last_step",
    "missing_settings",
    "runs_in",
    "warn_of_damage",
]


@dataclass(frozen=True)
class Damage:
    """A damaged file of a run.

    Attributes:
        path: the file.
        why: the problem with it.
        instead: the replacement that is used.
    """

    path: Path
    why: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path} {self.why}: {self.instead}"


class RunFiles:
    """The content of a run's folder.

    Args:
        folder: the run's folder. Before the first checkpoint, a file that does not exist yet is not damage.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @cached_property
    def checkpoint(self) -> dict[str, Any]:
        """The `checkpoint.json` of the newest readable checkpoint; empty if there is none."""
        for path in sorted(self.folder.glob("checkpoints/step-*/checkpoint.json"), reverse=True):
            try:
                facts = unsealed(read_object(path))
                tomllib.loads(facts["recipe"])
                if type(facts["position"]["total"]) is int and isinstance(facts.setdefault("split", {}), dict):
                    return facts
            except (Bad, KeyError, TypeError, ValueError, AttributeError):
                continue
        return {}

    def status(self) -> dict[str, Any]:
        """The content of `status.json`; empty if the run has not started."""
        return self._status[0]

    def environment(self) -> dict[str, Any]:
        """The content of `environment.json`: versions, machine and plugins; empty if unknown."""
        return self._environment[0]

    @property
    def plugins(self) -> list[dict[str, Any]]:
        """The plugins that the run started with: name, version, distribution; empty if it has not started."""
        found = self.environment().get("plugins", ())
        named = [plugin for plugin in found if isinstance(plugin, dict) and isinstance(plugin.get("name"), str)]
        return [{"version": "", "distribution": None} | plugin for plugin in named]

    def recipe_text(self) -> str:
        """The resolved recipe of the run as TOML; empty if it has none yet.

        Raises:
            RecipeError: it is damaged and there is no checkpoint to restore it from.
        """
        text, damage = self._recipe
        if damage is not None and not text:
            raise RecipeError("the run's recipe cannot be read", where=damage.path, why=damage.why, mend=damage.instead)
        return text

    def recipe(self) -> dict[str, Any]:
        """The resolved recipe of the run as a table; see `recipe_text`."""
        return tomllib.loads(self.recipe_text())

    def split(self) -> Split | None:
        """The split of the subjects; None if it is not written yet.

        Raises:
            DataError: `split.csv` is damaged and there is no checkpoint to restore it from.
        """
        split, damage = self._split
        if damage is not None and split is None:
            raise DataError("the run's split cannot be read", where=damage.path, why=damage.why, mend=damage.instead)
        return split

    @property
    def split_hash(self) -> str | None:
        """The hash of the split that the run started with; None if it has not started."""
        split = self._split[0]
        return self._recorded_hash or (None if split is None else split.hash)

    @property
    def _recorded_hash(self) -> str | None:
        said = self.checkpoint["split"].get("hash") if self.checkpoint else self.status().get("split")
        return said if isinstance(said, str) else None

    def damages(self) -> list[Damage]:
        """All damaged files."""
        found = (self._recipe[1], self._status[1], self._environment[1], self._split[1], self._journal)
        return [damage for damage in found if damage is not None]

    def mend(self, split: Split) -> None:
        """Write the files needed to resume that are damaged or missing; call it while holding the run's lock.

        Args:
            split: the correct content of `split.csv`.

        Raises:
            OSError: a file cannot be written.
        """
        text, damage = self._recipe
        if damage is not None and text:
            write_text(self.folder / RECIPE, text)
        if self._split[0] is None or self._split[1] is not None:
            split.to_csv(self.folder / SPLIT)

    # -- each file --------------------------------------------------------------------------------------------

    def _lost(self, path: Path) -> bool:
        """Whether a missing file should exist."""
        return bool(self.checkpoint) or not absent(path)

    @cached_property
    def _status(self) -> tuple[dict[str, Any], Damage | None]:
        path = self.folder / STATUS
        try:
            return read_typed(path), None
        except Bad as bad:
            if not self._lost(path):
                return {}, None
            known = self._state_from_others()
            how = "its progress is taken from the checkpoint" if known else "its progress is not known"
            return known, Damage(path, str(bad), how)

    def _state_from_others(self) -> dict[str, Any]:
        facts = self.checkpoint
        if not facts:
            return {}
        measured = any((self.folder / EVALUATION).glob("*"))
        return {
            "state": "finished" if measured else "interrupted",
            "id": self.folder.name,
            "step": facts["position"]["total"],
            "split": str(facts["split"].get("hash", "")),
        }

    @cached_property
    def _environment(self) -> tuple[dict[str, Any], Damage | None]:
        path = self.folder / ENVIRONMENT
        try:
            return read_typed(path), None
        except Bad as bad:
            if not self._lost(path):
                return {}, None
            plugins = self.checkpoint.get("plugins")
            known = {"plugins": plugins} if isinstance(plugins, list) else {}
            return known, Damage(path, str(bad), "versions and device of the run are not known")

    @cached_property
    def _recipe(self) -> tuple[str, Damage | None]:
        path = self.folder / RECIPE
        try:
            text = read(path)
            self._check_recipe(text)
        except Bad as bad:
            if not self._lost(path):
                return "", None
            if not self.checkpoint:
                again = "run the sweep's recipe again; finished runs are kept"
                lost = "restore it from a copy; there is no checkpoint that contains it"
                return "", Damage(path, str(bad), again if is_sweep(self.folder) else lost)
            how = "it is read from the checkpoint, without the changes that `gantk evaluate` made to [evaluation]"
            return self.checkpoint["recipe"], Damage(path, str(bad), how)
        return text, None

    def _check_recipe(self, text: str) -> None:
        """Detect a recipe truncated between two lines: it is valid TOML but lacks keys of the checkpoint's recipe."""
        try:
            table = tomllib.loads(text)
        except ValueError as error:
            raise Bad(f"is not valid TOML ({error})") from None
        if not self.checkpoint:
            return
        lacking = missing_settings(table, self.checkpoint["recipe"])
        if lacking or (not text.endswith("\n") and table != tomllib.loads(self.checkpoint["recipe"])):
            raise Bad(f"is truncated ({lacking[0]} is missing)" if lacking else "is truncated")

    @cached_property
    def _split(self) -> tuple[Split | None, Damage | None]:
        from gantk.data.split import Split

        path = self.folder / SPLIT
        try:
            if absent(path):
                raise Bad("is missing")
            split = Split.from_csv(path)
            if self._recorded_hash not in (None, split.hash):
                raise Bad("is not the split that the run started with")
        except (Bad, DataError) as error:
            if not self._lost(path):
                return None, None
            why = str(error) if isinstance(error, Bad) else f"cannot be used ({error.why or error.what})"
            try:
                split = Split.from_dict(self.checkpoint["split"])
                return split, Damage(path, why, "it is read from the checkpoint")
            except (KeyError, TypeError, DataError):
                return None, Damage(path, why, "restore it from a copy; there is no checkpoint that contains it")
        return split, None

    @property
    def _journal(self) -> Damage | None:
        total = self.checkpoint["position"]["total"] if self.checkpoint else 0
        path = self.folder / JOURNAL
        if not total and absent(path):
            return None
        damaged, whole, last = [], 0, {"seq": -1, "step": -1}
        try:
            for line in read_lines(path):
                if line.record is None:
                    damaged.append(line.number)
                else:
                    whole, last = whole + 1, line.record
        except OSError as error:
            why = "is missing" if absent(path) else f"cannot be read ({error.strerror or error})"
            return Damage(path, why, "its values are missing from the curves")
        if damaged:
            of = f"{len(damaged):,} of its {whole + len(damaged):,} lines"
            return Damage(path, f"is damaged in {of}, first in line {damaged[0]:,}", "their values are missing")
        if last["step"] < total - 1:
            return Damage(path, "is truncated", f"it ends after step {last['step'] + 1:,} of {total:,}")
        if last["seq"] != whole - 1:
            return Damage(path, "lacks lines", f"{whole:,} of {last['seq'] + 1:,} are there")
        return None


def warn_of_damage(*folders: Path) -> None:
    """Issue a `GantkWarning` for each damaged file in the folders of runs."""
    for folder in folders:
        for damage in RunFiles(folder).damages():
            warnings.warn(GantkWarning(str(damage)), stacklevel=2)


def is_run(folder: Path) -> bool:
    """Whether a folder belongs to a run or a sweep, damaged or not."""
    return (folder / RECIPE).is_file() or any(folder.glob("checkpoints/step-*/checkpoint.json")) or is_sweep(folder)


def runs_in(parent: Path) -> list[Path]:
    """The runs and sweeps in a folder, with the children of the sweeps."""
    found = [path for where in ("*", "*/children/*") for path in parent.glob(where)]
    return sorted(path for path in found if not path.name.startswith(".") and is_run(path))


def is_sweep(folder: Path) -> bool:
    """Whether a folder belongs to a sweep."""
    return (folder / SWEEP).is_file() or any(folder.glob("children/*/child.json"))


def last_step(folder: Path) -> int:
    """The step of the last complete line of a run's journal; -1 if there is none."""
    try:
        return int(last_line(folder / JOURNAL)["step"])
    except Bad:
        return -1


def missing_settings(recipe: Mapping[str, Any], whole: str) -> list[str]:
    """The dotted keys of a resolved recipe (TOML) that another recipe lacks because it was truncated.

    In `[evaluation]`, whose tables may change, only the keys directly in the table are checked.
    """
    return sorted(_settings(tomllib.loads(whole)) - _settings(recipe))


def _settings(recipe: Mapping[str, Any]) -> set[str]:
    return {key for key, _ in leaves(recipe) if not key.startswith("evaluation.")} | {
        f"evaluation.{key}" for key in recipe.get("evaluation") or ()
    }
