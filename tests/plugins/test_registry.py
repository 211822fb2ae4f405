"""Components: the constructor's signature is the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from torch import nn

from gantk import ImageRef, Role
from gantk.errors import PluginError, RecipeError, UsageError
from gantk.plugins import KINDS, Component, Registry


class Sharpen:
    """Makes edges sharper."""

    def __init__(
        self,
        radius: int,
        layers: tuple[int, ...] = (0, 4),
        mode: Literal["soft", "hard"] = "soft",
        limit: float | None = None,
        of: ImageRef = ImageRef("target"),
        root: Path = Path("there"),
    ) -> None:
        self.radius, self.layers, self.mode, self.limit, self.of, self.root = radius, layers, mode, limit, of, root


class Network:
    """A generator in name only."""

    def __init__(self, in_channels: int, out_channels: int, width: int = 4) -> None:
        self.given = (in_channels, out_channels, width)


class Without:
    """No constructor at all."""


def component(cls: type = Sharpen, name: str = "sharpen", kind: str = "loss", plugin: str = "p") -> Component:
    return Component(name, kind, cls, plugin, "1")


def registry(*components: Component) -> Registry:
    made = Registry()
    made.add(*components)
    return made


# --- the schema -------------------------------------------------------------------------------------------


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


# --- the registry -------------------------------------------------------------------------------------------


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
    with pytest.raises(UsageError, match=r"'loses' is no kind of component; did you mean 'losses'"):
        registry().names("loses")


def test_a_taken_name_registers_none_of_the_rest() -> None:
    made = registry(component())
    with pytest.raises(PluginError, match="p 1 and q 1"):
        made.add(component(name="new", plugin="q"), component(plugin="q"))
    assert made.names("loss") == ["sharpen"]
