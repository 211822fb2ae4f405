"""`gantk show`, `gantk list` and `gantk plugins`: what is known of components."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

import gantk
from gantk.cli.main import app
from gantk.plugins import Component, load_plugins
from gantk.plugins.describe import EXAMPLES, describe
from gantk.plugins.docstring import parse
from gantk.plugins.kinds import KINDS


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_a_component_in_full() -> None:
    said = json.loads(call("show", "loss", "patch_nce", "--json").stdout)
    assert (said["plugin"], said["distribution"], said["version"]) == ("gantk_baselines", "gantk", gantk.__version__)
    temperature = next(p for p in said["parameters"] if p["name"] == "temperature")
    assert temperature == {"name": "temperature", "type": "number > 0", "required": False, "doc": "τ.", "default": 0.07}
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


def test_every_installed_component_can_be_described() -> None:
    components = list(load_plugins().registry)
    assert components
    for component in components:
        said = describe(component)
        assert said["summary"], component.name
        json.dumps(said, default=str)
    assert EXAMPLES.keys() == KINDS.keys()


def test_looking_at_a_loss_goes_no_further_than_its_needs() -> None:
    class Loads:
        """A loss that loads a network."""

        def __init__(self, size: int = 3) -> None:
            self.needs = gantk.Needs(pool=size)
            raise AssertionError("this would take long")

    assert describe(Component("loads", "loss", Loads, "p", "1"))["needs"] == ["a pool of 3 past outputs"]


def test_a_docstring_in_parts() -> None:
    doc = parse(
        "Sum of\nall: L = Σ x (Who et al., 2017, eq. 3).\n\nMore\nof it.\n\nSource: a code.\n\n"
        "Args:\n    a: the first\n        thing.\n    b: B.\n\nRaises:\n    ValueError: never."
    )
    assert doc.summary == "Sum of all: L = Σ x (Who et al., 2017, eq. 3)."
    assert doc.description == "More of it.\n\nSource: a code."
    assert doc.arguments == {"a": "the first thing.", "b": "B."}
    assert doc.sources == ["Who et al., 2017, eq. 3", "a code"]
    assert doc.equations == ["L = Σ x (Who et al., 2017, eq. 3)"]


def test_list_reads_well(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"losses", "generators"} <= json.loads(call("list", "--json").stdout).keys()
    assert [c["name"] for c in json.loads(call("list", "losses", "l?", "--json").stdout)] == ["l1", "l2"]
    assert "no name among the losses matches 'zz*'; known: " in call("list", "losses", "zz*").stderr
    monkeypatch.setenv("GANTK_DISABLE_PLUGINS", "gantk_ds3net")
    listed = {p["name"]: p for p in json.loads(call("plugins", "--json").stdout)}
    assert (listed["gantk_ds3net"]["state"], listed["gantk_ds3net"]["components"]) == ("disabled", 0)
    assert listed["gantk_core"]["components"] > 0
