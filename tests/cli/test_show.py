"""`gantk show`, `gantk list` and `gantk plugins`: what is known of components."""

from __future__ import annotations

import json

import gantk
from command_line import call


def test_a_component_in_full() -> None:
    said = json.loads(call("show", "loss", "patch_nce", "--json").stdout)
    assert (said["plugin"], said["distribution"], said["version"]) == ("gantk_baselines", "gantk", gantk.__version__)
    temperature = next(p for p in said["parameters"] if p["name"] == "temperature")
    assert temperature == {
        "name": "temperature",
        "type": "number > 0",
        "required": False,
        "doc": "τ, the temperature of the contrastive loss.",
        "default": 0.07,
    }
    assert any("log[exp(" in equation for equation in said["equations"])
    assert any("Park et al., 2020" in source for source in said["sources"])
    assert "features of the generator's layers 0, 4, 8, 12, 16" in said["needs"]
    assert said["example"].splitlines()[1] == 'use = "patch_nce"'


def test_for_people_all_of_it_is_there() -> None:
    text = call("show", "losses", "wgan_gp").stdout
    for part in (
        "loss wgan_gp",
        "plugin gantk_baselines, distribution gantk",
        "Gulrajani et al., 2017",
        "second-order gradients",
        "parameter",
        "[losses.NAME]",
    ):
        assert part in text


def test_what_the_core_supplies_is_no_parameter() -> None:
    said = json.loads(call("show", "generator", "unet", "--json").stdout)
    assert "in_channels" in said["supplied"]
    assert "in_channels" not in {p["name"] for p in said["parameters"]}


def test_a_misspelt_name_or_kind() -> None:
    for arguments, near in ((("loss", "l11"), "did you mean 'l1'"), (("los", "l1"), "did you mean 'losses'")):
        result = call("show", *arguments)
        assert result.exit_code == 2
        assert near in result.stderr
