"""A third-party plugin under a type checker: correct uses pass, and each wrong use is found.

Checked by `tests/test_typing.py` with `warn_unused_ignores`, so that a `type: ignore` that finds nothing fails.
"""

from collections.abc import Mapping, Sequence
from typing import assert_type

import numpy as np
import torch
from torch import Tensor, nn

import gantk


class Charbonnier:
    needs = gantk.Needs(target=True)

    def __init__(self, epsilon: float = 1e-3) -> None:
        self.epsilon = epsilon

    def __call__(self, view: gantk.View) -> Tensor:
        assert_type(view.output, Tensor)
        assert_type(view.target, Tensor)
        return view.weighted_mean(((view.output - view.target) ** 2 + self.epsilon**2).sqrt())


class Everywhere:
    def __call__(self, view: gantk.View) -> Tensor:
        return torch.ones_like(view.target[:, :1])


class Network(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.tanh()


class Layered(nn.Module):
    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | gantk.Translation:
        return gantk.Translation(image if decode else None, dict.fromkeys(layers, image)) if layers else image


class Judge(nn.Module):
    def forward(self, image: Tensor, layers: tuple[int, ...] = ()) -> Tensor | gantk.Judgement:
        return gantk.Judgement(image, {}) if layers else image


class Quieter:
    def __call__(self, group: gantk.Group, moment: gantk.Moment) -> gantk.Group:
        assert_type(moment.epoch, int)
        return group


class Halving(gantk.Scheduler):
    def rate(self, stage: gantk.Stage, role: str, part: str, epoch: int) -> float:
        return 0.5**epoch

    def before_stage(self, stage: gantk.Stage, control: gantk.Control) -> None:
        control.copy("a", "b", ["generator"])
        control.copy("a", "b", "generator", int=0)  # type: ignore[call-arg]

    def after_epoch(self, stage: gantk.Stage, epoch: int, metrics: Mapping[str, float], control: gantk.Control) -> bool:
        return metrics.get("a/ssim", 0.0) > 0.9


class Error:
    higher_is_better = False
    title = "Error"

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return (prediction - target).abs().mean(dim=(1, 2, 3))


class Folder:
    def subjects(self, progress: gantk.Progress) -> list[gantk.Subject]:
        with progress.task("Listing", 1) as bar:
            bar.advance()
        raise gantk.DataError("there is nobody", mend=gantk.nearest("a", ["b"]))

    def read(self, subject: gantk.Subject, modalities: Sequence[str], segmentation: bool = True) -> gantk.Volumes:
        volumes = gantk.read_volumes(subject, modalities, segmentation=segmentation)
        assert_type(volumes.images["t1"], np.ndarray)
        return volumes


class Here:
    workers = 1
    here = True

    def start(self, job: gantk.Job) -> gantk.Handle:
        raise gantk.TrainingError(f"{job.name} cannot start")


loss: gantk.Loss = Charbonnier()
weight_map: gantk.WeightMap = Everywhere()
generator: gantk.Generator = Network()
layered: gantk.FeatureGenerator = Layered()
plain: gantk.Discriminator = Network()
judge: gantk.FeatureDiscriminator = Judge()
transform: gantk.Transform = Quieter()
scheduler: gantk.Scheduler = Halving()
metric: gantk.Metric = Error()
dataset: gantk.Dataset = Folder()
launcher: gantk.Launcher = Here()


@gantk.hookimpl
def register_losses() -> dict[str, type]:
    return {"charbonnier": Charbonnier}


class Forgetful:
    def __call__(self, view: gantk.View) -> float:
        return view.missing  # type: ignore[attr-defined]


not_a_loss: gantk.Loss = Forgetful()  # type: ignore[assignment]
not_a_metric: gantk.Metric = Charbonnier()  # type: ignore[assignment]
not_a_generator: gantk.FeatureGenerator = Network()  # type: ignore[assignment]
not_a_dataset: gantk.Dataset = Quieter()  # type: ignore[assignment]

result = gantk.run("recipe.toml", ["run.seed=1"])
assert_type(result, gantk.RunResult)
model = gantk.load(result.folder)
assert_type(model, gantk.Model)
gantk.run(["recipe.toml"])  # type: ignore[arg-type]
