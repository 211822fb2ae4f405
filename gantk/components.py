"""The components that come with the core, registered as any plugin registers its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gantk.data.brats import Brats
from gantk.data.image_table import ImageTable
from gantk.data.images import Images
from gantk.data.phantom import Phantom
from gantk.data.table import CohortTable
from gantk.evaluation.distribution import Fid, Kid
from gantk.evaluation.metrics import Mae, MaeInUnits, Mse, MsSsim, Nmse, Psnr, Ssim
from gantk.evaluation.perceptual import Lpips
from gantk.evaluation.segmentation import SegmentationProbe
from gantk.launching.local import Local
from gantk.launching.slurm import Submitit
from gantk.plugins.hookspecs import hookimpl
from gantk.training.torch_optimizers import OPTIMIZERS


@hookimpl
def register_datasets() -> dict[str, type]:
    return {"brats": Brats, "image_table": ImageTable, "images": Images, "phantom": Phantom, "table": CohortTable}


@hookimpl
def register_metrics() -> dict[str, type]:
    return {
        "ssim": Ssim,
        "psnr": Psnr,
        "mse": Mse,
        "mae": Mae,
        "mae_unit": MaeInUnits,
        "nmse": Nmse,
        "ms_ssim": MsSsim,
        "lpips": Lpips,
        "fid": Fid,
        "kid": Kid,
        "segmentation_probe": SegmentationProbe,
    }


@hookimpl
def register_optimizers() -> Mapping[str, Any]:
    return OPTIMIZERS


@hookimpl
def register_launchers() -> dict[str, type]:
    return {"local": Local, "submitit": Submitit}
