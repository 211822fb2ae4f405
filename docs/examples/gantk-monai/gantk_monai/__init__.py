"""The generator `monai_basic_unet`, a plugin for gantk."""

import gantk
from gantk_monai.basic_unet import MonaiBasicUNet

gantk_api = 1  # the version of the plugin API


@gantk.hookimpl
def register_generators() -> dict[str, type]:
    return {"monai_basic_unet": MonaiBasicUNet}
