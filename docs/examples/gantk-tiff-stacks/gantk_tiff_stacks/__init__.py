"""The dataset `tiff_stacks`, a plugin for gantk."""

import gantk
from gantk_tiff_stacks.dataset import TiffStacks

gantk_api = 1  # the version of the plugin API


@gantk.hookimpl
def register_datasets() -> dict[str, type]:
    return {"tiff_stacks": TiffStacks}
