"""Validation after an epoch: metrics on a fixed set of validation slices, and image panels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gantk.api.cohort import Cohort
from gantk.api.inference import examples, measured, predictor
from gantk.evaluation.evaluate import to_unit
from gantk.evaluation.metrics import AnyMetric, slice_metrics
from gantk.files import atomic_write
from gantk.memory import enough_memory
from gantk.report.panels import draw_panel
from gantk.training.state import Position, TrainingState
from gantk.translation import StagePlan


class Validation:
    """Called by the engine after an epoch; gives the mean over slices of each metric, by `ROLE/METRIC`.

    Where no validation patient has what is measured there are panels alone.

    Args:
        state: the run's state.
        cohort: whose validation patients are read.
        metrics: by name, scored on the whole image; those over all patients are left to the evaluation.
        folder: the run's folder; panels go to `panels/validation/`.
    """

    def __init__(self, state: TrainingState, cohort: Cohort, metrics: Mapping[str, AnyMetric], folder: Path) -> None:
        self.state = state
        self.cohort = cohort
        self.metrics = slice_metrics(metrics)
        self.panels = folder / "panels" / "validation"
        training = state.recipe.training
        patients = cohort.measured(cohort.split.validation, state.recipe)
        everywhere = [(p, row) for p in patients for row in range(len(cohort.store[p].z))]
        chosen = np.linspace(0, len(everywhere) - 1, min(training.validation_slices, len(everywhere)))
        self.rows = [everywhere[round(i)] for i in chosen]
        shown = patients or cohort.shown(cohort.split.validation)
        self.shown = cohort.loader.panel_rows(shown, training.panel_slices)

    @enough_memory("to validate", "evaluation.batch or training.panel_slices")
    def __call__(self, plan: StagePlan, position: Position) -> dict[str, float]:
        roles = [role for role in plan.roles if role in self.state.recipe.answering]
        values: dict[str, list[float]] = {f"{role}/{name}": [] for role in roles for name in self.metrics}
        batch = self.state.recipe.evaluation.batch
        for first in range(0, len(self.rows), batch):
            rows = self.cohort.loader.rows(self.rows[first : first + batch])
            (group,) = measured(self.state, [rows.to(self.state.device)])
            assert group.target is not None
            target = to_unit(group.target)
            everywhere = torch.ones_like(target[:, :1], dtype=torch.bool)
            for role in roles:
                prediction = to_unit(predictor(self.state, role)(group))
                for name, metric in self.metrics.items():
                    values[f"{role}/{name}"] += metric(prediction, target, everywhere).tolist()
        if self.shown and self._panel_due(position):
            self._draw(plan, roles, position)
        return {name: math.fsum(v) / len(v) for name, v in values.items() if v}

    def _panel_due(self, position: Position) -> bool:
        return (position.epoch + 1) % self.state.recipe.training.panels_every == 0 or position.epoch == 0

    def _draw(self, plan: StagePlan, roles: Sequence[str], position: Position) -> None:
        group = self.cohort.loader.rows(self.shown)
        panel = draw_panel(examples(self.state, plan, group, roles, self.state.recipe))
        self.panels.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.panels / f"step-{position.total:08d}.png") as temporary:
            Image.fromarray(panel).save(temporary, format="PNG")
