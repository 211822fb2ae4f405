"""Networks of methods, made small for tests."""

from __future__ import annotations

from collections.abc import Mapping

from gantk_baselines.generators import Told, Unet
from gantk_baselines.munit import MunitGenerator
from gantk_baselines.stargan import StarGanDiscriminator


class TinyMunit(MunitGenerator):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, channels=2, blocks=1, style=4)


class TinyTold(Told):
    def __init__(self, in_channels: int, out_channels: int, given: Mapping[str, int]) -> None:
        super().__init__(in_channels, given, lambda in_channels: Unet(in_channels, out_channels, 1, 4, "none", 0.0))


class TinyStarGan(StarGanDiscriminator):
    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels, domains=2, channels=4, levels=2)
