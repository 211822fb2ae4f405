"""Networks of methods, made small for tests; their sizes, shapes and which layers run."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from gantk_baselines.generators import Resnet, TimmGenerator, Told, Unet
from gantk_baselines.munit import MunitGenerator
from gantk_baselines.stargan import StarGanDiscriminator
from gantk_ds3net.fused_unet import Ds3Unet
from gantk_ds3net.generator import Ds3Generator


class TinyMunit(MunitGenerator):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, channels=2, blocks=1, style=4)


class TinyTold(Told):
    def __init__(self, in_channels: int, out_channels: int, given: Mapping[str, int]) -> None:
        super().__init__(in_channels, given, lambda in_channels: Unet(in_channels, out_channels, 1, 4, "none", 0.0))


class TinyStarGan(StarGanDiscriminator):
    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels, domains=2, channels=4, levels=2)


def count(network: nn.Module) -> int:
    """How many parameters a network has."""
    return sum(p.numel() for p in network.parameters())


def tiny(kind: str, in_channels: int = 2) -> nn.Module:
    """A small generator of each kind, in eval mode, reproducible."""
    torch.manual_seed(0)
    built = {
        "resnet": lambda: Resnet(in_channels, 1, channels=4),
        "resnet-strided": lambda: Resnet(in_channels, 1, channels=4, blocks=2, antialias=False),
        "resnet-batch": lambda: Resnet(in_channels, 2, channels=4, blocks=2, norm="batch", dropout=0.5),
        "unet": lambda: Unet(in_channels, 1, levels=3, channels=4),
        "timm": lambda: TimmGenerator(in_channels, 1, "mobilenetv3_small_050", channels=4),
        "ds3_unet": lambda: Ds3Unet(in_channels, 1, "mobilenetv3_small_050", channels=4),
        "ds3": lambda: Ds3Generator(in_channels, 1, channels=4),
    }[kind]()
    return built.eval()


def layer_calls(network: nn.Module, numbered: dict[int, list[nn.Module]], **call) -> dict[int, int]:
    """How often each numbered layer ran in one call of the network."""
    calls = dict.fromkeys(numbered, 0)

    def counter(number: int):
        def hook(*_):
            calls[number] += 1

        return hook

    handles = [m.register_forward_hook(counter(n)) for n, modules in numbered.items() for m in modules]
    network(torch.rand(1, 2, 16, 16), **call)
    for handle in handles:
        handle.remove()
    return calls


def expected_resnet_shapes(c: int, inputs: int, h: int, w: int) -> dict[int, tuple[int, int, int]]:
    """(channels, height, width) of the antialiased generator's layers, from the published numbering."""
    shapes = {0: (inputs, h + 6, w + 6), 1: (c, h, w), 2: (c, h, w), 3: (c, h, w)}
    shapes |= dict.fromkeys((4, 5, 6), (2 * c, h, w)) | {7: (2 * c, h // 2, w // 2)}
    shapes |= dict.fromkeys((8, 9, 10), (4 * c, h // 2, w // 2)) | {11: (4 * c, h // 4, w // 4)}
    shapes |= dict.fromkeys(range(12, 21), (4 * c, h // 4, w // 4))
    shapes |= {21: (4 * c, h // 2, w // 2)} | dict.fromkeys((22, 23, 24), (2 * c, h // 2, w // 2))
    shapes |= {25: (2 * c, h, w)} | dict.fromkeys((26, 27, 28), (c, h, w))
    return shapes | {29: (c, h + 6, w + 6), 30: (1, h, w), 31: (1, h, w)}
