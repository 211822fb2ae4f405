"""Generators of the baselines."""

from gantk_baselines.generators.resnet import Resnet
from gantk_baselines.generators.timm_generator import TimmGenerator
from gantk_baselines.generators.unet import Unet

__all__ = ["Resnet", "TimmGenerator", "Unet"]
