"""An engine on batches that are functions of their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from gantk.training.engine import Engine
from gantk.training.scheduler import Stage
from gantk.training.state import Position

TABLE: dict[str, Any] = {
    "name": "tiny",
    "data": {"dataset": "brats", "root": ".", "inputs": ["t1", "t2"], "target": "t1ce", "crop": [8, 10]},
    "translators": {
        "g": {
            "generator": {"use": "resnet", "channels": 2, "blocks": 1, "antialias": False, "dropout": 0.3},
            "discriminator": {"use": "patchgan", "channels": 2, "layers": 1},
        }
    },
    "losses": {"pixelwise": {"use": "l1", "on": "g"}, "adversarial": {"use": "lsgan", "on": "g"}},
    "schedule": {"use": "linear_decay", "epochs": 3, "decay_epochs": 2},
}


class Batches:
    """Stands for the loader: an epoch is 4 batches, each a function of its place."""

    def __init__(self, group: Callable[[int, int], Any]) -> None:
        self.group = group

    def steps(self, groups: Any) -> int:
        return 4

    def prefetch(
        self, groups: Any, stage: int, epoch: int, start: int, stop: int, *, pinned: bool
    ) -> Iterator[tuple[int, Any]]:
        for step in range(start, stop):
            group = self.group(1, 10_000 * stage + 100 * epoch + step)
            group.source, group.target = (image[:, :, :, :8] for image in (group.source, group.target))
            yield step, {"paired": group}


class Heard:
    """Records the reports of the engine."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.steps: list[tuple[Position, dict[str, float], dict[str, float]]] = []
        self.epochs: list[Position] = []
        self.saved: list[tuple[Position, dict[str, Any]]] = []
        self.pictures: list[tuple[Position, dict[str, torch.Tensor]]] = []
        self.notes: list[str] = []

    def stage_begins(self, stage: Stage, index: int, of: int, steps_per_epoch: int, position: Position) -> None:
        self.stages.append((stage.name, steps_per_epoch))

    def step_done(
        self, stage: Stage, position: Position, losses: dict[str, float], rates: Mapping[str, float], seconds: float
    ) -> None:
        assert seconds >= 0
        self.steps.append((position, losses, dict(rates)))

    def pictured(self, position: Position, pictures: Mapping[str, torch.Tensor]) -> None:
        self.pictures.append((position, dict(pictures)))

    def epoch_done(self, stage: Stage, position: Position, metrics: Mapping[str, float]) -> None:
        self.epochs.append(position)

    def epoch_saved(self, stage: Stage, position: Position, metrics: Any, generators: Mapping[str, Any]) -> None:
        self.saved.append((position, dict(generators)))

    def note(self, text: str) -> None:
        self.notes.append(text)


def changed(**tables: Any) -> dict[str, Any]:
    return {**TABLE, "data": {**TABLE["data"], "crop": [8, 8]}, **tables}


def weights(engine: Engine) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in engine.state.tensors().items()}


def assert_equal(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
