"""In how many dimensions components work, by their constructors' types, and what is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from torch import Tensor, nn

import gantk
from gantk.errors import PluginError, RecipeError
from gantk.plugins import Component, Registry
from gantk.plugins.dimensions import check_suited, dimensions_of, suited


def component(name: str, annotation: Any, kind: str = "loss") -> Component:
    """A component whose argument `dimensions` has a type, or that has none."""

    class Made(nn.Module):
        """A component."""

        def __init__(self, **given: int) -> None:
            super().__init__()

        def __call__(self, view: gantk.View) -> Tensor: ...

    if annotation is not None:

        def __init__(self: Any, dimensions: Any = 2) -> None: ...

        __init__.__annotations__["dimensions"] = annotation
        Made.__init__ = __init__  # type: ignore[method-assign]
    else:
        Made.__init__ = lambda self: None  # type: ignore[method-assign]
    return Component(name, kind, Made, "tests", "1")


@pytest.mark.parametrize(
    ("annotation", "works"),
    [
        (Literal[2], (2,)),
        (Literal[3], (3,)),
        (Literal[2, 3], (2, 3)),
        (gantk.Dimensions, (2, 3)),
        (int, (2, 3)),
        (Annotated[Literal[3], "deep"], (3,)),
        (Literal[2] | Literal[3], (2, 3)),
    ],
)
def test_the_type_says_the_numbers(annotation: Any, works: tuple[int, ...]) -> None:
    assert dimensions_of(component("it", annotation)) == works


def test_without_a_word_networks_and_metrics_work_on_slices_and_others_on_anything() -> None:
    assert dimensions_of(component("it", None)) == (2, 3)
    assert dimensions_of(component("it", None, "weight_map")) == (2, 3)
    for kind in ("generator", "discriminator", "metric"):
        assert dimensions_of(component("it", None, kind)) == (2,)


@pytest.mark.parametrize("annotation", [str, Literal[4], float])
def test_a_type_that_says_no_number_is_the_plugins_fault(annotation: Any) -> None:
    with pytest.raises(PluginError, match="does not say in how many dimensions it works"):
        component("odd", annotation).verify()


def test_what_does_not_suit_is_refused_with_what_does() -> None:
    registry = Registry()
    registry.add(component("flat", Literal[2]))
    flat = registry.get("loss", "flat")
    check_suited(flat, 2, "here")
    said = r"here: the loss 'flat' of the plugin tests 1 works on slices, but the recipe trains on volumes"
    with pytest.raises(RecipeError, match=rf"{said}.*data\.dimensions = 3; set data\.dimensions = 2"):
        suited(registry, "loss", "flat", 3, "here")
    registry.add(component("deep", Literal[3]), component("both", int), component("all", int, "weight_map"))
    with pytest.raises(RecipeError, match="choose both or deep"):
        suited(registry, "loss", "flat", 3, "here")
    assert suited(registry, "loss", "both", 3, "here").name == "both"
