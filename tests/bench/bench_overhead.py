"""The core's overhead: its Pix2Pix step against a loop written by hand with the same networks, losses and optimizers.

Run as `python tests/bench/bench_overhead.py [--small] [--threads N] [--rounds N] [--device cpu]`; in each round either
does a block of steps, in turns who begins; prints the median over rounds of gantk's time by the loop's.
Goal: at most 1.03.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import nn

from gantk.data.batch import Group
from gantk.data.layout import Domain
from gantk.plugins import load_plugins
from gantk.recipe.model import TrainingSettings
from gantk.recipe.translators import OptimizerSettings
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import StagePlan, Term, Translator
from gantk.translation.assembly import optimizer_slot
from gantk_baselines.adversarial import Vanilla
from gantk_baselines.discriminators import PatchGan
from gantk_baselines.generators import Resnet, Unet
from gantk_baselines.pixelwise import L1
from timing import Spread, finish, in_turns

TAKES, GIVES = Domain("source", None, 3), Domain("target", None, 1)

GOAL = 1.03
RATE, BETAS, LAMBDA = 2e-4, (0.5, 0.999), 100.0
Step = Callable[[Group], dict[str, float]]


def by_hand(generator: nn.Module, discriminator: nn.Module) -> Step:
    """Pix2Pix as its paper's code does it: the discriminator first, then the generator through a frozen one."""
    to_d = torch.optim.Adam(discriminator.parameters(), RATE, BETAS, fused=True)
    to_g = torch.optim.Adam(generator.parameters(), RATE, BETAS, fused=True)

    def judged(scores: torch.Tensor, real: bool) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))

    def step(group: Group) -> dict[str, float]:
        source, target = group.source, group.target
        fake = generator(source)
        to_d.zero_grad(set_to_none=True)
        on_fake = judged(discriminator(torch.cat([source, fake.detach()], 1)), False)
        on_real = judged(discriminator(torch.cat([source, target], 1)), True)
        loss_d = 0.5 * (on_fake + on_real)
        loss_d.backward()
        to_d.step()
        discriminator.requires_grad_(False)
        to_g.zero_grad(set_to_none=True)
        adversarial = judged(discriminator(torch.cat([source, fake], 1)), True)
        pixelwise = F.l1_loss(fake, target)
        (adversarial + LAMBDA * pixelwise).backward()
        to_g.step()
        discriminator.requires_grad_(True)
        return {
            "g/adversarial (D)": loss_d.item(),
            "g/pixelwise": pixelwise.item(),
            "g/adversarial": adversarial.item(),
        }

    return step


def by_gantk(generator: nn.Module, discriminator: nn.Module) -> Step:
    """The same as a plan of two terms."""
    translators = {"g": Translator("g", TAKES, GIVES, generator, discriminator, conditional=True)}
    terms = [
        Term("pixelwise", "g", "paired", L1(), LAMBDA),
        Term("adversarial", "g", "paired", Vanilla(discriminator_weight=0.5)),
    ]
    rates = {"generator": RATE, "heads": RATE, "discriminator": RATE}
    slot = optimizer_slot(OptimizerSettings(rates=rates, betas=BETAS), "optimizer", load_plugins().registry)
    optimizers = {"g": Optimizers(translators["g"], slot)}
    plan = StagePlan("training", ("g",), terms, {}, translators)
    updater = Updater(translators, optimizers, plan, TrainingSettings(), nullcontext)
    return lambda group: updater.step([{"paired": group}], {"g": 1.0})


def pair(size: int, device: torch.device) -> Group:
    source, target = (torch.rand(1, channels, size, size, device=device) * 2 - 1 for channels in (3, 1))
    return Group(source, target, None, ("P",), (0,))


def compare(
    name: str,
    generator: nn.Module,
    discriminator: nn.Module,
    size: int,
    rounds: int,
    steps: int,
    device: torch.device,
) -> float:
    """Check that both give the same losses, time them in turns, print and return the median ratio."""
    networks = [(copy.deepcopy(generator).to(device), copy.deepcopy(discriminator).to(device)) for _ in range(2)]
    hand, ours = by_hand(*networks[0]), by_gantk(*networks[1])
    group = pair(size, device)
    for number in range(3):  # warms both up too
        losses = []
        for step in (hand, ours):
            torch.manual_seed(number)  # the same dropout
            losses.append(step(group))
        # on a GPU later steps differ: the order of sums is not fixed, and Adam enlarges the differences
        for key, value in losses[0].items() if number == 0 or device.type == "cpu" else ():
            assert abs(losses[1][key] - value) <= 1e-4 * abs(value), (number, key, value, losses[1][key])

    def block(step: Step) -> None:
        for _ in range(steps):
            step(group)
        finish(device)

    spent = in_turns({"loop": lambda: block(hand), "gantk": lambda: block(ours)}, rounds)
    # on a CPU the time of this process, to exclude other processes
    seconds = {side: [s.cpu if device.type == "cpu" else s.wall for s in found] for side, found in spent.items()}
    ratio = Spread.of([ours_s / hand_s for hand_s, ours_s in zip(seconds["loop"], seconds["gantk"], strict=True)])
    print(
        f"{name:24} loop {1e3 * Spread.of(seconds['loop']).median / steps:8.2f} ms/step   gantk/loop {ratio} "
        f"in {rounds} rounds of {steps}",
        flush=True,
    )
    return ratio.median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="the small case alone")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves its own choice")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    torch.manual_seed(0)
    steps = 10 if device.type == "cuda" else 1
    cases = [("U-Net 64², 16 channels", Unet(3, 1, levels=5, channels=16), PatchGan(4, channels=16, layers=2), 64, 10)]
    if not options.small:
        cases += [
            ("U-Net 256²", Unet(3, 1), PatchGan(4), 256, steps),
            ("ResNet-9 256²", Resnet(3, 1), PatchGan(4), 256, steps),
        ]
    ratios = [compare(name, g, d, size, options.rounds, n, device) for name, g, d, size, n in cases]
    print(f"goal {GOAL}: {'met' if max(ratios) <= GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
