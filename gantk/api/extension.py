"""Extending a run: a new run that starts from the end of another one, with a longer schedule."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gantk.errors import UsageError, nearest
from gantk.recipe import Recipe
from gantk.recipe.model import ParentSettings
from gantk.recipe.overrides import Changes, change_of
from gantk.runs.files import JOURNAL
from gantk.runs.folders import recipe_of, spoken
from gantk.runs.names import CHECKPOINTS
from gantk.tracking.journal import Journal
from gantk.training.best import trained_checkpoint
from gantk.training.checkpoint import Checkpoint
from gantk.training.scheduler import Scheduler, Stage
from gantk.training.state import Position

__all__ = ["Extension", "extended_recipe"]

_CHANGES = ("schedule", "evaluation", "tracking", "name", "description")
_TAKEN = (JOURNAL, "panels", "history")


def extended_recipe(parent: Path, changes: Changes) -> Recipe:
    """The recipe of a run that continues another one.

    Args:
        parent: the other run's folder.
        changes: `schedule.epochs=300`; evaluation, tracking, name and description may change, too.

    Raises:
        UsageError: something else than the schedule is changed, or the schedule is not.
        CheckpointError: the run has no checkpoint.
        RecipeError: a change does not fit.
    """
    table = change_of(changes)
    for name in table:
        if name not in _CHANGES:
            raise UsageError(
                f"{name!r} cannot change in a run that extends another",
                where="--extend",
                why="the networks and their training cannot change; " + nearest(name, _CHANGES),
                mend="change the schedule; to train on other data or with other losses, start a new run with "
                f'[translators.ROLE] weights = "{spoken(parent)}:ROLE"',
            )
    recipe = recipe_of(parent, changes)
    if recipe.schedule == recipe_of(parent).schedule:
        raise UsageError("the schedule does not change", where="--extend", mend="change it, as in schedule.epochs=300")
    began = ParentSettings(run=parent.name, step=trained_checkpoint(parent / CHECKPOINTS, "last").position.total)
    return recipe.model_copy(update={"parent": began})


@dataclass(frozen=True)
class Extension:
    """A run to be continued, and the schedules of both runs.

    Attributes:
        parent: the run's folder.
        before: its scheduler.
        after: that of the new run.
        roles: the translators that learn.
    """

    parent: Path
    before: Scheduler
    after: Scheduler
    roles: tuple[str, ...]

    @property
    def checkpoint(self) -> Checkpoint:
        """The position of the run to be continued."""
        return trained_checkpoint(self.parent / CHECKPOINTS, "last")

    @property
    def position(self) -> Position:
        """The next step of the new run: in the last stage if this is longer now, else in the stage after it.

        Raises:
            UsageError: the completed stages of the new schedule differ, or it is not longer.
        """
        found = self.checkpoint.position
        old, new = self.before.stages(self.roles), self.after.stages(self.roles)
        if found.stage < len(old):
            at = found
        else:
            done = self._done(old[-1])
            longer = len(new) >= len(old) and new[len(old) - 1].epochs > done
            at = Position(len(old) - 1, done, 0, found.total) if longer else Position(len(old), 0, 0, found.total)
        same = all(a == b for a, b in zip(old[: at.stage], new[: at.stage], strict=False))
        if at.stage >= len(new) or at.epoch >= new[at.stage].epochs or not same or not _alike(old, new, at.stage):
            raise UsageError(
                "this schedule does not continue from the position of the run",
                where="--extend",
                why=f"the run has {_told(old)}, of which {self._told_done(found, old)}; the schedule has {_told(new)}",
                mend="make the last stage longer, or add stages after it",
            )
        return at

    def notes(self) -> list[str]:
        """The note on whether the new run equals a single longer run."""
        at = self.position
        old, new = self.before.stages(self.roles), self.after.stages(self.roles)
        head = f"Going on from {self.parent.name}, step {at.total}: stage {new[at.stage].name!r}, epoch {at.epoch + 1}"
        if self._exact(old, new, at):
            return [f"{head}; this is what one run of the longer schedule would have been"]
        return [
            f"{head}; the longer schedule's rates in earlier epochs differ from those that were trained with, so one "
            "run of it would have been another"
        ]

    def _exact(self, old: Sequence[Stage], new: Sequence[Stage], at: Position) -> bool:
        """Whether rates and weights of all completed epochs are the same in both schedules."""
        done = [(number, stage.epochs) for number, stage in enumerate(old[: at.stage])]
        done += [(at.stage, at.epoch)] if at.stage < len(old) else []
        return all(
            self.before.rate(old[number], role, part, epoch) == self.after.rate(new[number], role, part, epoch)
            and self.before.weight(old[number], role, epoch) == self.after.weight(new[number], role, epoch)
            for number, epochs in done
            for epoch in range(epochs)
            for role in old[number].roles
            for part in ("generator", "heads", "discriminator")
        )

    def _done(self, last: Stage) -> int:
        """Completed epochs of the last stage; a stage may have ended early."""
        records = list(Journal(self.parent / JOURNAL).records())
        return records[-1]["epoch"] + 1 if records and records[-1]["stage"] == last.name else last.epochs

    def _told_done(self, found: Position, old: Sequence[Stage]) -> str:
        return "all are done" if found.stage >= len(old) else f"{found.epoch} of stage {old[found.stage].name!r} are"

    def fill(self, save: Callable[[Path], object]) -> Callable[[Path], None]:
        """A function that fills the new run's folder with everything needed to continue, before the folder gets its
        final name.

        Args:
            save: writes the checkpoint of the state below a folder.
        """

        def filled(fresh: Path) -> None:
            for name in _TAKEN:
                source = self.parent / name
                if source.is_dir():
                    shutil.copytree(source, fresh / name)
                elif source.is_file():
                    shutil.copy(source, fresh / name)
            for best in (self.parent / CHECKPOINTS).glob("best-*"):
                shutil.copytree(best, fresh / CHECKPOINTS / best.name)
            save(fresh / CHECKPOINTS)

        return filled


def _alike(old: Sequence[Stage], new: Sequence[Stage], stage: int) -> bool:
    """Check that the continued stage trains the same roles as before."""
    if stage >= len(old):
        return True
    return (old[stage].name, old[stage].roles) == (new[stage].name, new[stage].roles)


def _told(stages: Sequence[Stage]) -> str:
    return ", ".join(f"{stage.epochs} epochs of {stage.name!r}" for stage in stages)
