"""Steps of Pix2Pix, CycleGAN, CUT and pGAN in gantk against the same steps as their published codes perform them.

Run as `python tests/bench/bench_methods.py [METHOD ...] [--threads N] [--rounds N] [--size N] [--channels N]`, on a GPU
with `--device cuda`. All sides start from the same weights and see the same batch of one. First, their losses in one
step are compared, so that the same work is timed, and the generators' gradients, so that it is known how far they
agree. Then steps are timed in turns. Printed are medians and quartiles over rounds of the published time by gantk's, of
the processor's and of the clock's: above 1 gantk is faster. On a GPU a round is ten steps, and the clock's time counts.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gantk import Group
from gantk.plugins import load_plugins
from gantk.recipe import load_recipe
from gantk.testing import make_group
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import assemble
from published_steps import Cut, CycleGan, PGan, Pix2Pix, PublishedStep
from timing import Seconds, Spread, finish, in_turns, where

RECIPES = Path(__file__).parents[2] / "recipes"
TOLERANCE = {"fp32": 1e-4, "fp32 on a GPU": 2e-3, "bf16": 5e-2}  # of the losses of the first step, relative


@dataclass(frozen=True)
class Method:
    """A recipe with the published settings, the published step, and what an earlier measurement found.

    Args:
        recipe: which is changed by `published`; W stands for the width, S for the size.
        step: the published one.
        mark: of the published code, how many times faster the best known step was, by precision.
    """

    recipe: str
    step: type[PublishedStep]
    published: tuple[str, ...]
    mark: Mapping[str, str]


METHODS = {
    "pix2pix-resnet": Method(
        "pix2pix.toml",
        Pix2Pix,
        (
            "translators.generator.generator={use='resnet', channels=W, blocks=9, antialias=false, init='normal'}",
            "translators.generator.discriminator={use='patchgan', channels=W, layers=3, norm='instance'}",
        ),
        {"fp32": "1.10 to 1.16", "bf16": "2.0 to 2.1"},
    ),
    "pix2pix-unet": Method(
        "pix2pix.toml",
        Pix2Pix,
        (
            "translators.generator.generator={use='unet', channels=W, levels=8, norm='batch', dropout=0.5}",
            "translators.generator.discriminator={use='patchgan', channels=W, layers=3, norm='batch'}",
        ),
        {"fp32": "1.16 to 1.21", "bf16": "1.7"},
    ),
    "cyclegan": Method(
        "cyclegan.toml",
        CycleGan,
        (
            "translators.a2b.generator.channels=W",
            "translators.a2b.generator.blocks=9",
            "translators.a2b.discriminator.channels=W",
            "translators.a2b.discriminator.layers=3",
        ),
        {},
    ),
    "cut": Method(
        "cut.toml",
        Cut,
        (
            "translators.generator.generator.channels=W",
            "translators.generator.generator.init_gain=0.02",
            "translators.generator.discriminator.channels=W",
            "translators.generator.discriminator.layers=3",
            "translators.generator.discriminator.init_gain=0.02",
        ),
        {"fp32": "1.19 to 1.37", "bf16": "2.0 to 2.3"},
    ),
    "pgan": Method(
        "pgan.toml",
        PGan,
        (
            "data.inputs=['t1']",  # three neighbouring slices of one contrast
            "translators.generator.generator.channels=W",
            "translators.generator.discriminator.channels=W",
            "translators.generator.discriminator.layers=3",
        ),
        {},
    ),
}


class Side:
    """One method's step, gantk's or the published one, in one precision, on one batch.

    Args:
        method: which.
        ours: whether it is gantk's.
        precision: fp32 or bf16.
        size: H and W.
        channels: width of the networks.
        device: where.
    """

    def __init__(
        self, method: Method, ours: bool, precision: str, size: int, channels: int, device: torch.device
    ) -> None:
        self.device = device
        changes = [change.replace("=W", f"={channels}") for change in method.published]
        recipe = load_recipe(RECIPES / method.recipe, [f"data.crop=[{size}, {size}]", *changes])
        assembly = assemble(recipe, load_plugins().registry)
        layout, plan = assembly.layout, assembly.plan("training", tuple(assembly.translators))
        self.batch: dict[str, Group] = {
            name: make_group(1, layout.size("source"), layout.size("target"), (size, size), seed=number).to(device)
            for number, name in enumerate(plan.groups)
        }
        for translator in assembly.translators.values():
            translator.to(device)
        autocast = partial(torch.autocast, device.type, torch.bfloat16) if precision == "bf16" else nullcontext
        self.generators: list[nn.Module]
        self._step: Callable[[], Mapping[str, float | Tensor]]
        if ours:
            self.generators = [t.generator for t in assembly.translators.values()]
            optimizers = {r: Optimizers(t, assembly.optimizers[r]) for r, t in assembly.translators.items()}
            updater = Updater(assembly.translators, optimizers, plan, recipe.training, autocast)
            weights = dict.fromkeys(plan.roles, 1.0)
            self._step = lambda: updater.step([self.batch], weights)
        else:
            step = method.step(assembly.translators, autocast)
            self.generators = [n.g for n in step.networks.values()]
            self._step = lambda: step(self.batch)

    def block(self) -> None:
        """Run the steps of one round."""
        for _ in range(10 if self.device.type == "cuda" else 1):
            self.step()
        finish(self.device)

    def step(self) -> dict[str, float]:
        """One training step; returns the losses."""
        return {name: loss.item() if isinstance(loss, Tensor) else loss for name, loss in self._step().items()}

    def gradient(self) -> Tensor:
        """The gradient of all generators after the last step, without heads, whose large gradients would dominate."""
        parameters = (p for generator in self.generators for p in generator.parameters())
        return torch.cat([p.grad.flatten().double() for p in parameters if p.grad is not None])


def first_step(sides: Mapping[str, Side], tf32: bool) -> None:
    """Run one step of each from one seed: losses must agree with the published fp32 step, gradients are compared."""
    wanted: dict[str, float] = {}
    gradients = {}
    for name, side in sides.items():
        torch.manual_seed(0)  # the same dropout and the same patches
        losses = side.step()
        gradients[name] = side.gradient()
        wanted = wanted or losses
        worst = max(abs(losses[key] - value) / abs(value) for key, value in wanted.items())
        precision = name.split()[-1]
        exact = f"{precision} on a GPU" if precision == "fp32" and side.device.type == "cuda" else precision
        assert losses.keys() == wanted.keys(), (name, losses, wanted)
        assert worst <= TOLERANCE["bf16" if tf32 else exact], (name, losses, wanted)
        print(f"  {name:16} losses of the first step within {worst:.1e} of the published")
    for one, other in [
        ("gantk fp32", "published fp32"),
        ("gantk bf16", "gantk fp32"),
        ("gantk bf16", "published bf16"),
    ]:
        if one in gradients and other in gradients:
            a, b = gradients[one], gradients[other]
            cosine = (a @ b / (a.norm() * b.norm())).item()
            error = ((a - b).norm() / b.norm()).item()
            print(f"  generator gradient of {one} to {other}: cosine {cosine:.4f}, relative difference {error:.1e}")


def report(name: str, method: Method, spent: Mapping[str, list[Seconds]]) -> None:
    """Times, and ratios of the published step's to gantk's within each round."""
    for side, seconds in spent.items():
        cpu, wall = (Spread.of([getattr(s, kind) for s in seconds]) for kind in Seconds._fields)
        print(f"  {side:16} {cpu.median:7.3f} s processor {wall.median:7.3f} s wall")
    for ours, theirs in [
        ("gantk fp32", "published fp32"),
        ("gantk bf16", "published fp32"),
        ("gantk bf16", "published bf16"),
    ]:
        if ours not in spent or theirs not in spent:
            continue
        mark = method.mark.get(ours.split()[-1]) if theirs == "published fp32" else None
        print(f"{name}: {theirs} ÷ {ours}" + (f" (an earlier measurement: {mark})" if mark else ""))
        for kind in Seconds._fields:
            pairs = zip(spent[theirs], spent[ours], strict=True)
            ratios = Spread.of([getattr(published, kind) / getattr(own, kind) for published, own in pairs])
            print(f"  {kind:5} {ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=f"of {', '.join(METHODS)}; all where absent")
    parser.add_argument("--size", type=int, default=256, help="height and width")
    parser.add_argument("--channels", type=int, default=64, help="width of the networks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves its own choice")
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--tf32", action="store_true", help="let a GPU round the factors of convolutions to TF32")
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    options = parser.parse_args()
    unknown = set(options.methods) - set(METHODS)
    if unknown:
        parser.error(f"there is no method {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    if options.rounds < 2:
        parser.error("quartiles need two rounds at least")
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = options.tf32
    print(
        f"{options.size}², batch 1, {options.channels} channels, {where(options.device)}, "
        f"{options.rounds} rounds, torch {torch.__version__}, {platform.machine()}"
    )
    for name in options.methods or METHODS:
        method = METHODS[name]
        print(f"{name}:")
        sides = {
            f"{'gantk' if ours else 'published'} {precision}": Side(
                method, ours, precision, options.size, options.channels, options.device
            )
            for precision in options.precisions
            for ours in (False, True)
        }
        first_step(sides, options.tf32)
        report(name, method, in_turns({key: side.block for key, side in sides.items()}, options.rounds))


if __name__ == "__main__":
    main()
