"""The registry: names, kinds, clashes, and the nearest of a misspelt name."""

from __future__ import annotations

import pytest

from gantk.errors import PluginError, RecipeError, UsageError
from gantk.plugins import Component, Registry
from small_components import Network, component


def registry(*components: Component) -> Registry:
    made = Registry()
    made.add(*components)
    return made


def test_names_and_kinds() -> None:
    made = registry(component(name="b"), component(name="a"), component(Network, "net", "generator"))
    assert made.names("loss") == made.names("losses") == ["a", "b"]
    assert made.names("weight-maps") == made.names("weight_map") == []
    assert [c.name for c in made] == ["net", "b", "a"]


def test_an_unknown_name_is_an_error_with_the_nearest() -> None:
    made = registry(component(name="sharpen"), component(name="blur"))
    with pytest.raises(
        RecipeError, match=r"losses\.x\.use: no plugin supplies the loss 'sharpn'; did you mean 'sharpen'"
    ):
        made.get("loss", "sharpn", "losses.x.use")
    with pytest.raises(RecipeError, match="known: blur, sharpen"):
        made.get("loss", "zzz")
    with pytest.raises(RecipeError, match="none is known"):
        made.get("scheduler", "cosine")


def test_an_unknown_kind_is_an_error_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'loses' is not a kind of component; did you mean 'losses'"):
        registry().names("loses")


def test_a_taken_name_registers_none_of_the_rest() -> None:
    made = registry(component())
    with pytest.raises(PluginError, match="p 1 and q 1"):
        made.add(component(name="new", plugin="q"), component(plugin="q"))
    assert made.names("loss") == ["sharpen"]
