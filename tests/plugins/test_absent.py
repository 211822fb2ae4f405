"""Runs whose plugins are not there."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from gantk.errors import PluginError, RecipeError
from gantk.plugins import load_plugins
from gantk.plugins.absent import made_with
from written_plugins import GOOD

Plugin = Callable[..., EntryPoint]


RECORDED = [{"name": "first", "version": "1.2", "distribution": "first-dist"}]


def test_a_run_whose_plugin_is_not_there_says_what_to_install(plugin: Plugin) -> None:
    session = load_plugins([plugin("other", GOOD.replace('"halve"', '"other"'))])
    with pytest.raises(PluginError) as raised, made_with(RECORDED, session):
        session.registry.get("loss", "halve", "losses.x.use")
    said = str(raised.value)
    assert said.startswith("losses.x.use: no plugin supplies the loss 'halve'")
    assert "made with first 1.2" in said
    assert said.endswith("pip install first-dist==1.2.")


def test_a_run_whose_plugin_is_switched_off_says_so(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTK_DISABLE_PLUGINS", "first")
    session = load_plugins([plugin("first")])
    why = "first is installed, but disabled: GANTK_DISABLE_PLUGINS"
    with pytest.raises(PluginError, match=why), made_with(RECORDED, session):
        session.registry.get("loss", "halve")


def test_a_name_that_no_plugin_had_is_an_error_of_the_recipe(plugin: Plugin) -> None:
    session = load_plugins([plugin("first")])
    with pytest.raises(RecipeError, match="did you mean 'halve'"), made_with(RECORDED, session):
        session.registry.get("loss", "halv")
