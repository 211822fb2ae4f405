"""Baselines: the field's standard generators, discriminators, losses, weight maps and schedules."""

from __future__ import annotations

from gantk import hookimpl
from gantk_baselines.adversarial import Hinge, Lsgan, Vanilla, WganGp
from gantk_baselines.discriminators import PatchGan
from gantk_baselines.generators import Resnet, TimmGenerator, Unet
from gantk_baselines.patch_nce import PatchNce
from gantk_baselines.pixelwise import L1, L2, Ssim
from gantk_baselines.schedules import Constant, Cosine, LinearDecay, Warmup
from gantk_baselines.weight_maps import Edges, Foreground, TumourMask, Uniform


@hookimpl
def register_generators() -> dict[str, type]:
    return {"resnet": Resnet, "unet": Unet, "timm": TimmGenerator}


@hookimpl
def register_discriminators() -> dict[str, type]:
    return {"patchgan": PatchGan}


@hookimpl
def register_losses() -> dict[str, type]:
    return {
        "hinge": Hinge,
        "l1": L1,
        "l2": L2,
        "lsgan": Lsgan,
        "patch_nce": PatchNce,
        "ssim": Ssim,
        "vanilla": Vanilla,
        "wgan_gp": WganGp,
    }


@hookimpl
def register_weight_maps() -> dict[str, type]:
    return {"edges": Edges, "foreground": Foreground, "tumour": TumourMask, "uniform": Uniform}


@hookimpl
def register_schedulers() -> dict[str, type]:
    return {"constant": Constant, "cosine": Cosine, "linear_decay": LinearDecay, "warmup": Warmup}
