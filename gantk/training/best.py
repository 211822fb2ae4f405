"""The checkpoint of the best validation epoch, kept beside the newest ones."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from gantk.errors import CheckpointError
from gantk.training.checkpoint import Checkpoint, list_checkpoints, newest_checkpoint, open_checkpoint, save_checkpoint
from gantk.training.state import TrainingState

__all__ = ["Best", "best_checkpoint", "evaluated_checkpoint", "trained_checkpoint"]

BEST = "best"


class Best:
    """Keeps the checkpoint of the epoch whose validation metric is the best so far; the first of equals stays.

    The best value is read from the checkpoint itself, so that a resumed run continues with it.

    Args:
        parent: the run's folder of checkpoints.
        metric: `ROLE/METRIC`.
        higher_is_better: whether larger values are better.
    """

    def __init__(self, parent: Path, metric: str, higher_is_better: bool) -> None:
        self.parent, self.metric, self.higher_is_better = parent, metric, higher_is_better

    def keep(self, state: TrainingState, metrics: Mapping[str, float], facts: Mapping[str, Any]) -> Path | None:
        """Write the state if its metrics are the best so far; None if they are not.

        Raises:
            CheckpointError: it cannot be written, or the best one so far is damaged.
        """
        value = metrics.get(self.metric, math.nan)
        before = best_checkpoint(self.parent)
        merit = value if self.higher_is_better else -value
        if not math.isfinite(value) or (before is not None and merit <= _merit(before)):
            return None
        told = {"metric": self.metric, "value": value, "higher_is_better": self.higher_is_better}
        folder = save_checkpoint(self.parent, state, {**facts, "best": told}, keep=1, kind=BEST)
        for old in list_checkpoints(self.parent, BEST):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)
        return folder


def best_checkpoint(parent: Path) -> Checkpoint | None:
    """The checkpoint of the best validation epoch, None where there is none yet.

    Raises:
        CheckpointError: it is damaged.
    """
    found = [open_checkpoint(folder) for folder in list_checkpoints(parent, BEST)]
    return max(found, key=_merit, default=None)  # more than one after a kill


def evaluated_checkpoint(parent: Path, which: Literal["last", "best"]) -> Checkpoint | None:
    """The checkpoint that `evaluation.checkpoint` names.

    Raises:
        CheckpointError: no epoch was the best yet, or the checkpoint is damaged.
    """
    if which == "last":
        return newest_checkpoint(parent)
    best = best_checkpoint(parent)
    if best is None and list_checkpoints(parent):
        raise CheckpointError(
            "the run has no checkpoint of its best epoch",
            where=parent,
            why="no epoch was validated with training.keep_best",
            mend='use the last one: gantk evaluate RUN --set evaluation.checkpoint="last"',
        )
    return best


def trained_checkpoint(parent: Path, which: Literal["last", "best"]) -> Checkpoint:
    """As `evaluated_checkpoint`, which must be there.

    Raises:
        CheckpointError: there is none yet, or it is damaged.
    """
    found = evaluated_checkpoint(parent, which)
    if found is None:
        raise CheckpointError(
            "the run has no checkpoint yet", where=parent.parent, mend="train it for at least one epoch"
        )
    return found


def _merit(checkpoint: Checkpoint) -> float:
    best = checkpoint.facts["best"]
    return float(best["value"]) * (1 if best["higher_is_better"] else -1)
