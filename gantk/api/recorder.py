"""The record of a run: journal, status and display, updated by the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gantk.api.display import Display
from gantk.names import path_in
from gantk.report.panels import draw_images, save_panel
from gantk.runs.folders import Status
from gantk.tracking.journal import Journal
from gantk.training.engine import Observer
from gantk.training.scheduler import Stage
from gantk.training.state import Position
from gantk.translation.kept import Pictures

if TYPE_CHECKING:
    from torch import nn

    from gantk.plugins import Session
    from gantk.recipe import Recipe


@dataclass(eq=False)
class Recorder(Observer):
    """The engine's observer: writes `metrics.jsonl` and `status.json`, and calls the display and lifecycle hooks."""

    folder: Path
    recipe: Recipe
    session: Session
    journal: Journal
    status: Status
    display: Display
    steps_per_epoch: int = 0

    def stage_begins(self, stage: Stage, index: int, of: int, steps_per_epoch: int, position: Position) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.status.update(stage=stage.name, epoch=position.epoch, step=position.total)
        self.session.hook.before_stage(folder=self.folder, recipe=self.recipe, stage=stage.name)
        self.display.stage(stage.name, stage.epochs, steps_per_epoch)

    def step_done(
        self, stage: Stage, position: Position, losses: Mapping[str, float], rates: Mapping[str, float], seconds: float
    ) -> None:
        metrics = {f"train/{name}": value for name, value in losses.items()}
        metrics |= {f"rate/{name}": value for name, value in rates.items()}
        self.journal.append(position.total, position.epoch, stage.name, metrics)
        self.session.hook.after_step(
            folder=self.folder,
            recipe=self.recipe,
            stage=stage.name,
            epoch=position.epoch,
            step=position.total,
            losses=losses,
        )
        self.display.step(stage.name, position.epoch, position.step, self.steps_per_epoch, losses, seconds)

    def pictured(self, position: Position, pictures: Pictures) -> None:
        for place, images in pictures.items():
            role, _, name = place.partition("/")
            title = name.rpartition(".")[2]  # the folder's name identifies the run
            drawn = draw_images(title, images[: self.recipe.training.panel_slices].cpu().numpy())
            save_panel(path_in(path_in(self.folder / "panels" / "train", role), name), position.total, drawn)

    def epoch_done(self, stage: Stage, position: Position, metrics: Mapping[str, float]) -> None:
        if metrics:
            found = {f"validation/{name}": value for name, value in metrics.items()}
            self.journal.append(position.total, position.epoch, stage.name, found)
        self.status.update(stage=stage.name, epoch=position.epoch + 1, step=position.total + 1)
        self.display.epoch(stage.name, position.epoch, metrics)

    def epoch_saved(
        self, stage: Stage, position: Position, metrics: Mapping[str, float], generators: Mapping[str, nn.Module]
    ) -> None:
        self.session.hook.after_epoch(
            folder=self.folder,
            recipe=self.recipe,
            stage=stage.name,
            epoch=position.epoch,
            metrics=dict(metrics),
            generators=generators,
        )

    def note(self, text: str) -> None:
        self.display.note(text)
