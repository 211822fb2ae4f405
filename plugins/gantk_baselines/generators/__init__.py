"""Generators of the baselines."""

from gantk_baselines.generators.casnet import CasNet
from gantk_baselines.generators.ensemble import Ensemble
from gantk_baselines.generators.mustgan import Mustgan
from gantk_baselines.generators.residual_unet import ResidualUnet
from gantk_baselines.generators.resnet import Resnet
from gantk_baselines.generators.resvit import Resvit
from gantk_baselines.generators.spade import Spade
from gantk_baselines.generators.timm_generator import TimmGenerator
from gantk_baselines.generators.told import Told
from gantk_baselines.generators.unet import Unet

__all__ = [
    "CasNet",
    "Ensemble",
    "Mustgan",
    "ResidualUnet",
    "Resnet",
    "Resvit",
    "Spade",
    "TimmGenerator",
    "Told",
    "Unet",
]
