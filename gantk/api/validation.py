"""Validation after an epoch: metrics on a fixed set of validation slices, and image panels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from gantk.api.cohort import Cohort
from gantk.api.inference import examples, measured, predictor
from gantk.data.batch import Group
from gantk.evaluation.evaluate import Predictor, to_unit
from gantk.evaluation.protocols import AnyMetric, slice_metrics, unpaired_metrics
from gantk.evaluation.reformat import in_three_planes
from gantk.memory import enough_memory
from gantk.progress import QuietProgress
from gantk.report.panels import draw_panel, save_panel
from gantk.training.device import images_at_once
from gantk.training.state import Position, TrainingState
from gantk.training.world import World
from gantk.translation import StagePlan


class Validation:
    """Called by the engine after an epoch; returns the mean over slices of each metric, by `ROLE/METRIC`. If no
    validation patient has the measured images, metrics that need no pairs are measured on the patients with
    inputs and those with targets; without such metrics there are panels alone.

    Args:
        state: the run's state.
        cohort: the cohort with the validation patients.
        metrics: by name, scored on the whole image; if there are pairs, metrics over all patients are left to the
            evaluation.
        folder: the run's folder; panels go to `panels/validation/`, of volumes in three planes to `panels/planes/`.
        world: the processes that share the slices; each then has all metrics.
    """

    def __init__(
        self,
        state: TrainingState,
        cohort: Cohort,
        metrics: Mapping[str, AnyMetric],
        folder: Path,
        world: World | None = None,
    ) -> None:
        self.world = world or World()
        self.state = state
        self.cohort = cohort
        self.panels = folder / "panels" / "validation"
        patients = cohort.measured(cohort.split.validation, state.recipe)
        shown = patients or cohort.shown(cohort.split.validation)
        targets = [] if patients else cohort.targets(cohort.split.validation, state.recipe)
        self.metrics = slice_metrics(metrics) if patients else {}
        self.unpaired = unpaired_metrics(metrics) if shown and targets else {}
        self.rows = self._spread(shown) if self.metrics or self.unpaired else []
        self.targets = self._spread(targets)
        self.shown = cohort.loader.panel_rows(shown, state.recipe.training.panel_slices)

    @enough_memory("to validate", "evaluation.batch or training.panel_slices")
    def begin(self, plan: StagePlan) -> None:
        """Draw the untrained networks' output for the panels' slices as step 0, the first step in MLflow's chart of
        them."""
        if self.shown and self.world.first:
            self._draw(plan, self._roles(plan), Position())

    @enough_memory("to validate", "evaluation.batch or training.panel_slices")
    def __call__(self, plan: StagePlan, position: Position) -> dict[str, float]:
        roles = self._roles(plan)
        found = self._by_slice(roles) if self.metrics else self.world.told(lambda: self._by_set(roles))
        if self.shown and self.world.first and self.state.recipe.training.panel_due(position.epoch):
            self._draw(plan, roles, position)
        return found

    def _roles(self, plan: StagePlan) -> list[str]:
        """The predicting roles that the plan trains, or that follow a trained role."""
        recipe = self.state.recipe
        learnt = {role: recipe.translators[role].average_of or role for role in recipe.answering}
        return [role for role, of in learnt.items() if of in plan.roles]

    def _by_slice(self, roles: Sequence[str]) -> dict[str, float]:
        values: dict[str, list[float]] = {f"{role}/{name}": [] for role in roles for name in self.metrics}
        predictors = self._predictors(roles)
        for group in self._groups(self.rows[self.world.rank :: self.world.size]):
            assert group.target is not None
            target = to_unit(group.target)
            everywhere = torch.ones_like(target[:, :1], dtype=torch.bool)
            for role in roles:
                prediction = to_unit(predictors[role](group))
                for name, metric in self.metrics.items():
                    values[f"{role}/{name}"] += metric(prediction, target, everywhere).tolist()
        parts = self.world.gather(values)
        together = {name: [value for part in parts for value in part[name]] for name in values}
        return {name: math.fsum(v) / len(v) for name, v in together.items() if v}

    def _by_set(self, roles: Sequence[str]) -> dict[str, float]:
        """The metrics that are computed over all slices together."""
        collections = [metric.collect() for metric in self.unpaired.values()]
        if not collections:
            return {}
        for group in self._groups(self.targets):
            for collection in collections:
                collection.add(group, {})
        predictors = self._predictors(roles)
        for group in self._groups(self.rows):
            images = {role: to_unit(predict(group)) for role, predict in predictors.items()}
            for collection in collections:
                collection.add(group, images)
        overall = [collection.conclude(QuietProgress()).overall for collection in collections]
        return {
            f"{role}/{column}": statistic.mean
            for found in overall
            for role, columns in found.items()
            for column, statistic in columns.items()
            if math.isfinite(statistic.mean)
        }

    def _predictors(self, roles: Sequence[str]) -> dict[str, Predictor]:
        return {role: predictor(self.state, role, self.cohort.loader) for role in roles}

    def _groups(self, rows: Sequence[tuple[str, int]]) -> Iterator[Group]:
        recipe = self.state.recipe
        batch = images_at_once(self.state.device, recipe.evaluation.batch, recipe.data.crop)
        for first in range(0, len(rows), batch):
            yield from measured(
                self.state, [self.cohort.loader.rows(rows[first : first + batch]).to(self.state.device)]
            )

    def _spread(self, patients: Sequence[str]) -> list[tuple[str, int]]:
        """Slices of these patients, evenly spread."""
        everywhere = [(p, row) for p in patients for row in range(len(self.cohort.store[p].z))]
        count = min(self.state.recipe.training.validation_slices, len(everywhere))
        return [everywhere[round(i)] for i in np.linspace(0, len(everywhere) - 1, count)]

    def _draw(self, plan: StagePlan, roles: Sequence[str], position: Position) -> None:
        recipe, loader = self.state.recipe, self.cohort.loader
        panel = draw_panel(examples(self.state, plan, loader.rows(self.shown), roles, recipe, loader))
        save_panel(self.panels, position.total, panel)
        if recipe.data.dimensions == 3:
            patient, row = self.shown[0]
            every = loader.rows([(patient, place) for place in range(len(self.cohort.store[patient]))])
            voxel = recipe.data.voxel
            depth = voxel[0] / voxel[1] if isinstance(voxel, tuple) else 1.0
            planes = in_three_planes(examples(self.state, plan, every, roles, recipe, loader), row, depth)
            save_panel(self.panels.with_name("planes"), position.total, draw_panel(planes))
