"""Forward and backward time of the networks, against the published way to write their costly pieces.

Run as `python tests/bench/bench_networks.py [--large] [--threads N] [--repeats N]`; prints one line per case.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn

from gantk_baselines.discriminators import PatchGan
from gantk_baselines.generators import Resnet, Unet
from gantk_ds3net.generator import Ds3Generator
from published import published


def seconds(network: nn.Module, image: Tensor, bf16: bool, repeats: int) -> tuple[float, float]:
    """Best time of a forward pass without gradient and of forward plus backward, in seconds."""

    def forward() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return network(image)

    def infer() -> None:
        with torch.no_grad():
            forward()

    def train() -> None:
        network.zero_grad()
        forward().float().square().mean().backward()

    best = []
    for work in (infer, train):
        work()
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        best.append(min(times))
    return best[0], best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="64 channels at 224², batch 1")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    width, shape = (64, (1, 3, 224, 224)) if args.large else (16, (3, 3, 96, 80))
    cases = {
        "Resnet": lambda: Resnet(3, 1, channels=width),
        "Ds3Generator": lambda: Ds3Generator(3, 1, channels=width),
        "Unet": lambda: Unet(3, 1, levels=5 if args.large else 4, channels=width, norm="instance"),
        "PatchGan": lambda: PatchGan(3, channels=width),
        "PatchGan, antialiased": lambda: PatchGan(3, channels=width, antialias=True),
    }
    image = torch.rand(shape) * 2 - 1
    print(f"{width} channels, image {shape}, {args.threads} threads, best of {args.repeats}: ms")
    heads = ("precision", "forward", "published", "fwd+bwd", "published", "ratio")
    print(f"{'network':24}" + "".join(f"{head:>11}" for head in heads))
    for name, build in cases.items():
        for bf16 in (False, True):
            infer, train = seconds(build(), image, bf16, args.repeats)
            old_infer, old_train = seconds(published(build()), image, bf16, args.repeats)
            print(
                f"{name:24}{'bf16' if bf16 else 'fp32':>11}{infer * 1e3:11.1f}{old_infer * 1e3:11.1f}"
                f"{train * 1e3:11.1f}{old_train * 1e3:11.1f}{old_train / train:11.2f}"
            )


if __name__ == "__main__":
    main()
