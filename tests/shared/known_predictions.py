"""An evaluation of predictions whose errors are known."""

from __future__ import annotations

import torch

from gantk.data.batch import Group
from gantk.evaluation.evaluate import evaluate
from gantk.evaluation.metrics import Mse
from gantk.evaluation.results import Evaluation
from gantk.progress import QuietProgress

SIZE = 16


def group(patient: str, targets: list[float], tumour: list[bool]) -> Group:
    """Slices of one brightness each; the upper half is brain, its first row tumour where there is one."""
    count = len(targets)
    target = torch.full((count, 1, SIZE, SIZE), -1.0)
    source = torch.full((count, 2, SIZE, SIZE), -1.0)
    segmentation = torch.zeros(count, 1, SIZE, SIZE, dtype=torch.uint8)
    for i, value in enumerate(targets):
        target[i, :, : SIZE // 2] = value
        source[i, 0, : SIZE // 2] = 0.5
        source[i, 1, : SIZE // 2] = -0.5
        if tumour[i]:
            segmentation[i, :, 0] = 4
    return Group(source, target, segmentation, (patient,) * count, tuple(range(count)))


GROUPS = {
    "a": [group("a", [0.0, 0.2], [True, False]), group("a", [0.4], [False])],
    "b": [group("b", [0.6], [False])],
}


def brighter(by: float):
    return lambda g: torch.where(g.foreground, g.target + by, g.target)


def run(predictors, **options) -> Evaluation:
    arguments = {"device": "cpu", "progress": QuietProgress(), "split_hash": "split"} | options
    metrics = arguments.pop("metrics", {"mse": Mse()})
    regions = ["image", "brain", "tumour"]
    return evaluate(predictors, lambda p: iter(GROUPS[p]), ["a", "b"], metrics, regions, **arguments)
