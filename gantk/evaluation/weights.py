"""The weight maps of an evaluated run: their means in the tumor and in healthy brain."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gantk.errors import EvaluationError
from gantk.files import unsealed

__all__ = ["WEIGHTS", "MapWeight", "light_in_tumours", "read_weights"]

WEIGHTS = "weights.json"
"""In the folder of an evaluation."""


@dataclass(frozen=True)
class MapWeight:
    """One map's mean in the tumor and in healthy brain, NaN if no slice has the region."""

    name: str
    tumour: float
    brain: float

    @property
    def ratio(self) -> float:
        """Mean in the tumor divided by mean in healthy brain; NaN if undefined."""
        return self.tumour / self.brain if self.brain else math.nan


def read_weights(evaluation: Path) -> list[MapWeight]:
    """The weight maps in an evaluation's folder; empty if there are none.

    Raises:
        EvaluationError: the file cannot be read.
    """
    path = evaluation / WEIGHTS
    if not path.is_file():
        return []
    try:
        read = unsealed(json.loads(path.read_text(encoding="utf-8")))
        return [
            MapWeight(name, *(float(found.get(key, math.nan)) for key in ("tumour", "brain")))
            for name, found in read.items()
        ]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise EvaluationError(
            "the means of the weight maps cannot be read", where=path, why=error, mend="evaluate the run again"
        ) from None


def light_in_tumours(evaluations: Iterable[Path]) -> Iterator[str]:
    """One sentence for each map that is lower in the tumor than in healthy brain, in some or all of the runs.

    Unreadable files of weights are skipped.
    """
    ratios: dict[str, list[float]] = {}
    for evaluation in evaluations:
        with suppress(EvaluationError):
            for found in read_weights(evaluation):
                if not math.isnan(found.ratio):
                    ratios.setdefault(found.name, []).append(found.ratio)
    for name, known in ratios.items():
        low = sorted(ratio for ratio in known if round(ratio, 2) < 1)  # as displayed
        if low:
            which = f" in {len(low)} of {len(known)} runs" if len(known) > 1 else ""
            span = f"{low[0]:.2f}" if f"{low[0]:.2f}" == f"{low[-1]:.2f}" else f"{low[0]:.2f} to {low[-1]:.2f}"
            yield f"weight map {name} is lower in the tumor than in healthy brain{which} (ratio {span})"
