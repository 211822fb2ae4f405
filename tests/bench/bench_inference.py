"""A volume's slices through a generator: gantk's way against the published loop of one slice at a time.

`python tests/bench/bench_inference.py [--threads N] [--rounds N] [--device cuda] [--compile]` prints, in one run on the
same slices and weights, the published loop's processor time, on a GPU the clock's, by gantk's; above 1 where gantk is
faster. The published loop has the published layers (see `published.py`), fp32 and no gradient.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from gantk.api.inference import at_rest
from gantk.training.device import images_at_once
from gantk_baselines.generators import Resnet, Unet
from gantk_ds3net.generator import Ds3Generator
from published import published
from timing import Spread, finish, in_turns, where

BATCH = 16  # evaluation.batch
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ResNet-9, 64 channels, 224²": (lambda: Resnet(3, 1, channels=64), (8, 3, 224, 224)),
    "U-Net, 64 channels, 224²": (lambda: Unet(3, 1, levels=5, channels=64, norm="instance"), (8, 3, 224, 224)),
    "DS³-Net, 64 channels, 224²": (lambda: Ds3Generator(3, 1, channels=64), (8, 3, 224, 224)),
    "DS³-Net, 8 channels, 96 × 80": (lambda: Ds3Generator(3, 1, channels=8), (64, 3, 96, 80)),
}


def slice_by_slice(network: nn.Module, slices: Tensor) -> Tensor:
    network.eval()
    with torch.no_grad():
        return torch.cat([network(one[None]) for one in slices])


def in_batches(network: nn.Module, slices: Tensor, bf16: bool = False) -> Tensor:
    with at_rest([network]), torch.autocast(slices.device.type, torch.bfloat16, enabled=bf16):
        size = images_at_once(slices.device, BATCH, slices.shape[-2:])
        return torch.cat([network(part).float() for part in slices.split(size)])


def waited_for(work: Callable[[], object], device: torch.device) -> None:
    work()
    finish(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--compile", action="store_true", help="also with torch.compile (takes minutes)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    on_gpu = args.device.type == "cuda"
    if on_gpu:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False
    print(f"{where(args.device)}, torch {torch.__version__}")
    for name, (make, shape) in CASES.items():
        torch.manual_seed(0)
        network = make().to(args.device)
        loop = published(deepcopy(network))
        slices = (torch.rand(shape[0] * (16 if on_gpu else 1), *shape[1:]) * 2 - 1).to(args.device)
        if (wrong := (slice_by_slice(loop, slices[:2]) - in_batches(network, slices[:2])).abs().max().item()) > 1e-4:
            raise SystemExit(f"{name}: the two differ by {wrong:.1e}")
        sides: dict[str, Callable[[], object]] = {
            "published": lambda loop=loop, slices=slices: slice_by_slice(loop, slices),
            "fp32": lambda network=network, slices=slices: in_batches(network, slices),
            "bf16": lambda network=network, slices=slices: in_batches(network, slices, bf16=True),
        }
        if args.compile:
            compiled = torch.compile(network)
            for bf16 in (False, True):
                in_batches(compiled, slices, bf16)
            sides["fp32, compiled"] = lambda compiled=compiled, slices=slices: in_batches(compiled, slices)
            sides["bf16, compiled"] = lambda compiled=compiled, slices=slices: in_batches(compiled, slices, bf16=True)
        sides = {side: partial(waited_for, work, args.device) for side, work in sides.items()}
        for work in sides.values():
            work()
        kind = "wall" if on_gpu else "cpu"
        spent = {side: [getattr(s, kind) for s in found] for side, found in in_turns(sides, args.rounds).items()}
        theirs = spent["published"]
        print(f"{name}: published {1e3 * Spread.of(theirs).median / len(slices):.2f} ms/slice")
        for side in list(sides)[1:]:
            ratios = [their / own for their, own in zip(theirs, spent[side], strict=True)]
            print(f"  {side}: {Spread.of(ratios)}", flush=True)


if __name__ == "__main__":
    main()
