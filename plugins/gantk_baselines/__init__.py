"""Baselines: standard generators, discriminators, losses, weight maps and schedules."""

from __future__ import annotations

from gantk import hookimpl
from gantk_baselines.adversarial import R1, Hinge, Lsgan, Vanilla, WganGp
from gantk_baselines.augmentations import AdaptiveAugment, DiffAugment
from gantk_baselines.balances import GradientRatio, GradNorm, Uncertainty
from gantk_baselines.consistency import Consistency
from gantk_baselines.cycle import Cycle, Identity
from gantk_baselines.discriminators import MultiscalePatchGan, PatchGan
from gantk_baselines.flow import FlowMatching, FlowUnet
from gantk_baselines.generators import (
    CasNet,
    Ensemble,
    Mustgan,
    ResidualUnet,
    Resnet,
    Resvit,
    Spade,
    TimmGenerator,
    Told,
    Unet,
)
from gantk_baselines.many_to_many import AvailabilityResnet, AvailableLsgan, MaskedCycle
from gantk_baselines.missing import ImputedLsgan, MissingL1, ModalityDropout, ModalityPatchGan
from gantk_baselines.munit import Munit, MunitGenerator
from gantk_baselines.patch_nce import PatchNce
from gantk_baselines.perceptual import Content, DiscriminatorFeatures, Perceptual, Style
from gantk_baselines.pixelwise import L1, L2, Change, Ssim
from gantk_baselines.projected_distillation import ProjectedDistillation
from gantk_baselines.registration import Registered
from gantk_baselines.samplers import Balanced, Hard
from gantk_baselines.schedules import Constant, Cosine, EarlyStop, LinearDecay, Phases, Warmup
from gantk_baselines.stargan import StarGan, StarGanDiscriminator
from gantk_baselines.transforms import Affine, Flip, InputJitter, Jitter, ResizeAndCrop
from gantk_baselines.weight_maps import Edges, Foreground, TumourMask, Uniform
from gantk_baselines.weight_schedules import Ramp


@hookimpl
def register_generators() -> dict[str, type]:
    return {
        "availability_resnet": AvailabilityResnet,
        "casnet": CasNet,
        "ensemble": Ensemble,
        "flow_unet": FlowUnet,
        "munit": MunitGenerator,
        "mustgan": Mustgan,
        "residual_unet": ResidualUnet,
        "resnet": Resnet,
        "resvit": Resvit,
        "spade": Spade,
        "timm": TimmGenerator,
        "told": Told,
        "unet": Unet,
    }


@hookimpl
def register_discriminators() -> dict[str, type]:
    return {
        "modality_patchgan": ModalityPatchGan,
        "multiscale_patchgan": MultiscalePatchGan,
        "patchgan": PatchGan,
        "stargan": StarGanDiscriminator,
    }


@hookimpl
def register_losses() -> dict[str, type]:
    return {
        "available_lsgan": AvailableLsgan,
        "change": Change,
        "consistency": Consistency,
        "content": Content,
        "cycle": Cycle,
        "discriminator_features": DiscriminatorFeatures,
        "flow_matching": FlowMatching,
        "hinge": Hinge,
        "identity": Identity,
        "imputed_lsgan": ImputedLsgan,
        "l1": L1,
        "l2": L2,
        "lsgan": Lsgan,
        "masked_cycle": MaskedCycle,
        "missing_l1": MissingL1,
        "munit": Munit,
        "patch_nce": PatchNce,
        "projected_distillation": ProjectedDistillation,
        "perceptual": Perceptual,
        "r1": R1,
        "registered": Registered,
        "ssim": Ssim,
        "stargan": StarGan,
        "style": Style,
        "vanilla": Vanilla,
        "wgan_gp": WganGp,
    }


@hookimpl
def register_weight_maps() -> dict[str, type]:
    return {"edges": Edges, "foreground": Foreground, "tumour": TumourMask, "uniform": Uniform}


@hookimpl
def register_weight_schedules() -> dict[str, type]:
    return {"ramp": Ramp}


@hookimpl
def register_augmentations() -> dict[str, type]:
    return {"ada": AdaptiveAugment, "diff_augment": DiffAugment}


@hookimpl
def register_balances() -> dict[str, type]:
    return {"gradient_ratio": GradientRatio, "gradnorm": GradNorm, "uncertainty": Uncertainty}


@hookimpl
def register_transforms() -> dict[str, type]:
    return {
        "affine": Affine,
        "flip": Flip,
        "input_jitter": InputJitter,
        "jitter": Jitter,
        "modality_dropout": ModalityDropout,
        "resize_and_crop": ResizeAndCrop,
    }


@hookimpl
def register_schedulers() -> dict[str, type]:
    return {
        "constant": Constant,
        "cosine": Cosine,
        "early_stop": EarlyStop,
        "linear_decay": LinearDecay,
        "phases": Phases,
        "warmup": Warmup,
    }


@hookimpl
def register_samplers() -> dict[str, type]:
    return {"balanced": Balanced, "hard": Hard}
