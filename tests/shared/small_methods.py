"""Small losses, a discriminator that records its inputs, and assemblies of them."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gantk import ImageRef, Judgement, Needs, Role, Sizes
from gantk.recipe.model import TrainingSettings
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Assembly, Step, View

__all__ = [
    "CHANNELS",
    "MINE",
    "NETWORK",
    "Between",
    "Critic",
    "Cycle",
    "Keeping",
    "Late",
    "LazyPenalty",
    "Leaking",
    "Matching",
    "Mean",
    "Misplaced",
    "NeverTaught",
    "Pooled",
    "Sideless",
    "Uncertain",
    "Unplaced",
    "Watching",
    "begin",
    "trained",
]

CHANNELS = {"source": 3, "target": 1}


class Mean:
    """The mean of an image of the step, without any network."""

    needs = Needs(output=False)

    def __init__(self, image: ImageRef = ImageRef("source")) -> None:
        self.image = image

    def __call__(self, view: View) -> Tensor:
        return view.image(self.image).mean()


class Cycle:
    def __init__(self, back: Role) -> None:
        self.back = back

    def __call__(self, view: View) -> Tensor:
        return (view.translate(view.output, role=self.back) - view.source).abs().mean()


class Watching(nn.Module):
    """A discriminator that records its inputs, with one layer of features."""

    def __init__(self, in_channels: int, target_channels: int) -> None:
        super().__init__()
        self.layer, self.last = nn.Conv2d(in_channels, 4, 1), nn.Conv2d(4, target_channels, 1)
        self.seen: list[tuple[Tensor, tuple[int, ...]]] = []

    def forward(self, image: Tensor, layers: tuple[int, ...] = ()) -> Tensor | Judgement:
        self.seen.append((image.detach(), layers))
        feature = self.layer(image)
        scores = self.last(feature)
        return Judgement(scores, dict.fromkeys(layers, feature)) if layers else scores


class Matching:
    needs = Needs(target=True, judged=(0,))

    def __call__(self, view: View) -> Tensor:
        real, fake = (view.judge_features(image, layers=(0,))[0] for image in (view.target, None))
        return (real.detach() - fake).abs().mean()


class Pooled:
    def __init__(self, size: int = 2) -> None:
        self.needs = Needs(pool=size) if size else Needs()

    def __call__(self, view: View) -> Tensor:
        return view.judge().mean()

    def discriminator(self, view: View) -> Tensor:
        return view.judge(view.pooled(view.fake)).mean() - view.judge(view.image("target")).mean()


class Between:
    """A loss whose head needs the channels of two translators."""

    shared = "my-between"

    def __init__(self, teacher: Role) -> None:
        self.needs = Needs(layers=(1,), roles=(teacher,))
        self.teacher = teacher

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"generator": nn.Conv2d(sizes.features[1], sizes.others[self.teacher][1], 1)}

    def __call__(self, view: View) -> Tensor:
        return view.output.mean()


class Uncertain:
    """A learned weight (Kendall et al., 2018); private, because it is not declared as shared."""

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        self.sizes = sizes
        return {"generator": nn.Linear(1, 1)}

    def __call__(self, view: View) -> Tensor:
        return (view.head(view.output.mean()[None]) ** 2).mean()


class Critic(Uncertain):
    """A loss with its own critic and a head: each side has a module."""

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"generator": nn.Conv2d(1, 1, 1), "discriminator": nn.Conv2d(sizes.gives, 1, 1)}

    def __call__(self, view: View) -> Tensor:
        return view.head(view.output).mean()

    def discriminator(self, view: View) -> Tensor:
        return view.head(view.fake).square().mean() + view.head(view.target).mean()


class Misplaced(Uncertain):
    """Uses a module that learns with the generator in the discriminator loss."""

    def discriminator(self, view: View) -> Tensor:
        return view.head(view.fake.mean()[None]).mean() + view.judge(view.fake).mean()


class NeverTaught(Uncertain):
    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"discriminator": nn.Linear(1, 1)}


class Unplaced(Uncertain):
    def build_modules(self, sizes: Sizes) -> Any:
        return nn.Linear(1, 1)


class Keeping:
    """Stores weights where no optimizer sees them."""

    def __init__(self) -> None:
        self.network = nn.Conv2d(1, 1, 1)

    def __call__(self, view: View) -> Tensor:
        return self.network(view.output).mean()


class LazyPenalty:
    """R1 in every second step, on the discriminator's side alone; it cannot be called."""

    needs = Needs(target=True, second_order=True)

    def discriminator(self, view: View) -> Tensor | None:
        if view.moment.step % 2:
            return None
        image = view.target.detach().requires_grad_()
        (slope,) = torch.autograd.grad(view.judge(image).sum(), image, create_graph=True)
        return slope.square().mean() + 0 * view.judge(view.target).mean()


class Late:
    """Begins in the second epoch."""

    def __call__(self, view: View) -> Tensor | None:
        return view.output.mean() if view.moment.epoch else None


class Sideless:
    """Nothing."""


class Leaking:
    """A discriminator loss that detaches the output or forgets to."""

    def __init__(self, leak: bool) -> None:
        self.leak = leak

    def __call__(self, view: View) -> Tensor:
        return view.output.square().mean()

    def discriminator(self, view: View) -> Tensor:
        return view.judge(view.output if self.leak else view.fake).mean()


MINE = {
    "mean": Mean,
    "back": Cycle,
    "matching": Matching,
    "pooled": Pooled,
    "between": Between,
    "uncertain": Uncertain,
    "critic": Critic,
    "misplaced": Misplaced,
    "never": NeverTaught,
    "unplaced": Unplaced,
    "keeping": Keeping,
    "lazy": LazyPenalty,
    "late": Late,
    "sideless": Sideless,
    "leaking": Leaking,
}
"""The losses, which recipes call `my-NAME`."""
NETWORK = {"use": "resnet", "channels": 2, "blocks": 1}
"""A small generator."""


def begin(assembly: Assembly, make_group: Any, groups: tuple[str, ...] = ("paired",)) -> Step:
    plan = assembly.plan("training", tuple(assembly.translators))
    return Step(assembly.translators, plan, {g: make_group(2, shape=(8, 12), seed=n) for n, g in enumerate(groups)})


def trained(assembly: Assembly, make_group: Any, steps: int = 1, **settings: Any) -> Updater:
    """An updater after some steps."""
    roles = tuple(assembly.translators)
    optimizers = {role: Optimizers(t, assembly.optimizers[role]) for role, t in assembly.translators.items()}
    plan = assembly.plan("training", roles)
    updater = Updater(assembly.translators, optimizers, plan, TrainingSettings(**settings), nullcontext)
    batches = [begin(assembly, make_group).batch] * settings.get("accumulate", 1)
    for _ in range(steps):
        updater.step(batches, dict.fromkeys(roles, 1.0))
    return updater
