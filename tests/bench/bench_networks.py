"""Forward and backward time of the networks, against the published way to write their costly pieces.

Run as `python tests/bench/bench_networks.py [--large] [--threads N] [--repeats N]`; prints one line per case.
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk_baselines.discriminators import PatchGan
from gantk_baselines.generators import Resnet, Unet
from gantk_baselines.layers import BlurDown, BlurUp, InstanceNorm, OneMapConv2d
from gantk_ds3net.generator import Ds3Generator


class PublishedDown(nn.Module):
    """CUT's Downsample: reflected border, depthwise convolution."""

    def forward(self, x: Tensor) -> Tensor:
        taps = torch.tensor([1.0, 2, 1], dtype=x.dtype)
        kernel = (taps[:, None] * taps / 16).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])


class PublishedUp(nn.Module):
    """CUT's Upsample: replicated border, depthwise transposed convolution, cropped."""

    def forward(self, x: Tensor) -> Tensor:
        taps = torch.tensor([1.0, 3, 3, 1], dtype=x.dtype)
        kernel = (taps[:, None] * taps / 16).expand(x.shape[1], 1, 4, 4)
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(padded, kernel, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]


def published(network: nn.Module) -> nn.Module:
    """The same network with its fast pieces replaced by the published ones."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm):
                setattr(module, name, nn.InstanceNorm2d(child.channels))
            elif isinstance(child, BlurDown):
                setattr(module, name, PublishedDown())
            elif isinstance(child, BlurUp):
                setattr(module, name, PublishedUp())
            elif isinstance(child, OneMapConv2d):
                plain = nn.Conv2d(child.in_channels, 1, child.kernel_size)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
    return network


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
