"""The loss `focal_frequency` and the weight map `distance_to_tumour`, a plugin for gantk."""

import gantk
from gantk_focal_frequency.distance import DistanceToTumour
from gantk_focal_frequency.frequency import FocalFrequency

gantk_api = 1  # the version of the plugin API


@gantk.hookimpl
def register_losses() -> dict[str, type]:
    return {"focal_frequency": FocalFrequency}


@gantk.hookimpl
def register_weight_maps() -> dict[str, type]:
    return {"distance_to_tumour": DistanceToTumour}
