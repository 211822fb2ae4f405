"""The balance `dynamic_weights`, a plugin for gantk."""

import gantk
from gantk_weight_averaging.dynamic import DynamicWeights

gantk_api = 1  # the plugin API that it was written for


@gantk.hookimpl
def register_balances() -> dict[str, type]:
    return {"dynamic_weights": DynamicWeights}
