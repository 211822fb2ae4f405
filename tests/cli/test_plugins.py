"""`gantk plugins`."""

from __future__ import annotations

import json

from command_line import call


def test_plugins_are_listed_with_their_state() -> None:
    plugins = {p["name"]: p for p in json.loads(call("plugins", "--json").stdout)}
    assert plugins["gantk_baselines"]["state"] == "loaded"
    assert plugins["gantk_baselines"]["components"] > 0
    assert "gantk_baselines" in call("plugins").stdout
