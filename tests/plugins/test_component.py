"""Components: parameters from signatures, and values that are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from gantk import ImageRef, Role
from gantk.errors import PluginError, RecipeError
from gantk.plugins import KINDS
from small_components import Network, component


class Without:
    """No constructor at all."""


def test_parameters_come_from_the_signature() -> None:
    found = {p.name: (p.type_name, p.default, p.required) for p in component().parameters}
    assert found == {
        "radius": ("integer", None, True),
        "layers": ("list of integers", (0, 4), False),
        "mode": ('"soft", "hard"', "soft", False),
        "limit": ("number", None, False),
        "of": ("name of an image", "target", False),
        "root": ("path", Path("there"), False),
    }


def test_what_the_core_supplies_is_no_parameter() -> None:
    network = component(Network, "network", "generator")
    assert [p.name for p in network.parameters] == ["width"]
    built = network.build({"width": 9}, "here", in_channels=3, out_channels=1, image_size=(8, 8))
    assert built.given == (3, 1, 9)  # image_size is not asked for, so it is not given


def test_a_class_without_a_constructor_has_no_parameters() -> None:
    assert component(Without).parameters == []
    assert isinstance(component(Without).build({}, "here"), Without)


def test_values_are_checked_completed_and_made_absolute() -> None:
    built = component().build({"radius": 3, "layers": [1, 2], "root": "~/x"}, "here")
    assert (built.radius, built.layers, built.mode, built.limit, built.of) == (3, (1, 2), "soft", None, "target")
    assert built.root == Path.home() / "x"
    assert component().check({"radius": 1}, "here")["root"] == Path("there").absolute()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"radius": 1, "moed": "hard"}, "here.moed: loss 'sharpen' has no parameter 'moed'; did you mean 'mode'?"),
        ({"radius": 1, "wieght": 2}, "has no parameter 'wieght'; did you mean 'weight'?"),  # a key of the table's own
        ({}, "here: loss 'sharpen' needs the parameter 'radius'"),
        (
            {"radius": "wide"},
            "here.radius: parameter 'radius' of loss 'sharpen' is 'wide'. Input should be a valid integer",
        ),
        ({"radius": 1.5}, "parameter 'radius' of loss 'sharpen' is 1.5"),
        (
            {"radius": 1, "mode": "loud"},
            "parameter 'mode' of loss 'sharpen' is 'loud'. Input should be 'soft' or 'hard'",
        ),
        ({"radius": 1, "layers": [1, "x"]}, "parameter 'layers.1' of loss 'sharpen' is 'x'"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        component().check(parameters, "here")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "taken"),
    [(kind.name, name) for kind in KINDS.values() for name in sorted(kind.reserved)],
)
def test_no_parameter_may_have_the_name_of_the_tables_own_key(kind: str, taken: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"class Made:\n    def __init__(self, {taken}: int = 1): ...", namespace)  # names that are data here
    with pytest.raises(PluginError, match=f"plugin p: the {kind} 'made' has a parameter '{taken}'"):
        component(namespace["Made"], "made", kind).verify()


def test_role_and_image_parameters_keep_their_types() -> None:
    class Follow:
        def __init__(self, teacher: Role, of: ImageRef = ImageRef("target")) -> None: ...

    assert [p.type for p in component(Follow).parameters] == [Role, ImageRef]


def test_a_type_that_no_recipe_can_write_is_refused() -> None:
    class Around:
        def __init__(self, inner: nn.Module) -> None: ...

        def __call__(self, view: Any) -> None: ...

    with pytest.raises(PluginError, match=r"has a parameter of a type that no recipe can write.*Module"):
        component(Around).verify()


def test_a_network_without_a_constructor_has_no_parameters() -> None:
    class Plain(nn.Module):
        def forward(self, image: Any) -> Any:
            return image

    assert component(Plain, "plain", "augmentation").parameters == []
    assert isinstance(component(Plain, "plain", "augmentation").build({}, "here"), Plain)
