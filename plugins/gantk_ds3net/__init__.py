"""DS³-Net: difficulty-perceived semi-supervised synthesis of contrast-enhanced MRI (Huang et al., 2022)."""

from __future__ import annotations

from gantk import hookimpl
from gantk_ds3net.committee import CommitteeDistillation, Disagreement
from gantk_ds3net.difficulty import DifficultyMap
from gantk_ds3net.distillation import FeatureDistillation, ImageDistillation
from gantk_ds3net.estimated_error import ErrorEstimation, EstimatedError
from gantk_ds3net.fused_unet import Ds3Unet
from gantk_ds3net.generator import Ds3Generator
from gantk_ds3net.teacher_student import TeacherStudent


@hookimpl
def register_generators() -> dict[str, type]:
    return {"ds3": Ds3Generator, "ds3_unet": Ds3Unet}


@hookimpl
def register_losses() -> dict[str, type]:
    return {
        "committee_distillation": CommitteeDistillation,
        "error_estimation": ErrorEstimation,
        "feature_distillation": FeatureDistillation,
        "image_distillation": ImageDistillation,
    }


@hookimpl
def register_weight_maps() -> dict[str, type]:
    return {"difficulty": DifficultyMap, "disagreement": Disagreement, "estimated_error": EstimatedError}


@hookimpl
def register_schedulers() -> dict[str, type]:
    return {"teacher_student": TeacherStudent}
