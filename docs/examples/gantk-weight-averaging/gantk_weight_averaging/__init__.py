"""The balance `dynamic_weights`, a plugin for gantk."""

import gantk
from gantk_weight_averaging.dynamic import DynamicWeights

gantk_api = 1  # the version of the plugin API


@gantk.hookimpl
def register_balances() -> dict[str, type]:
    return {"dynamic_weights": DynamicWeights}
