"""The base class of all conformance classes: a component, built as from a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from gantk.errors import GantkError
from gantk.plugins import Component, Registry, load_plugins
from gantk.testing.failures import ConformanceError, expect
from gantk.translation import ImageRef, Role

__all__ = ["Conformance", "check_signature"]


class Conformance:
    """A component under test.

    Subclasses, one per kind, hold the tests. A plugin's author subclasses one of them in a test file, under a name
    that begins with Test, and sets the component:

        class TestCharbonnier(gantk.testing.LossConformance):
            component = Charbonnier
            parameters = {"epsilon": 0.01}

    A test that does not apply is skipped; set it to None to leave it out.

    Attributes:
        component: the class that the plugin registers.
        parameters: its parameters, as in a recipe; default: the component's defaults. Choose values that make it small.
        name: its name in messages; default: the class's name.
    """

    kind: ClassVar[str] = ""
    component: ClassVar[type]
    parameters: ClassVar[Mapping[str, Any]] = {}
    name: ClassVar[str] = ""

    @property
    def registered(self) -> Component:
        """The component as a plugin registers it."""
        cls = inspect.getattr_static(self, "component")  # a function that returns an instance must not be bound
        return Component(self.name or cls.__name__, self.kind, cls, cls.__module__, "", registry=_installed())

    @property
    def given(self) -> dict[str, Any]:
        """The parameters, with a name for each role and image that a recipe must give."""
        filled = dict(self.parameters)
        for parameter in self.registered.parameters:
            if parameter.required and parameter.name not in filled and parameter.type in (Role, ImageRef):
                filled[parameter.name] = "other" if parameter.type is Role else "target"
        return filled

    def make(self, **supplied: Any) -> Any:
        """An instance, built as from a recipe; `supplied` are the arguments that the core gives."""
        return self.registered.build(self.given, self.registered.name, **supplied)

    def test_signature(self) -> None:
        """A recipe can name it and fill its parameters."""
        check_signature(self.registered, self.given)


@lru_cache(maxsize=1)
def _installed() -> Registry:
    """The installed components, which parameters may name."""
    return load_plugins(strict=False).registry


def check_signature(component: Component, parameters: Mapping[str, Any]) -> None:
    """The constructor's parameters are named, typed, and free of names that recipes use; it has a docstring.

    Args:
        component: the component.
        parameters: its parameters, as in a recipe.
    """
    shown = f"the {component.kind} {component.name!r}"
    try:
        component.verify()
        component.check(parameters, component.name)
    except GantkError as error:
        raise ConformanceError(
            str(error).rstrip("."), error.mend or "correct the constructor or `parameters`"
        ) from None
    for parameter in component.arguments.values():
        expect(
            parameter.type is not Any,
            f"the parameter {parameter.name!r} of {shown} has no type",
            "annotate it: recipes are checked against the annotation",
        )
    for parameter in component.parameters:
        if parameter.required:
            continue
        try:
            TypeAdapter(parameter.type, config={"arbitrary_types_allowed": True}).validate_python(parameter.default)
        except ValidationError as error:
            raise ConformanceError(
                f"the default {parameter.default!r} of the parameter {parameter.name!r} of {shown} is not of its type: "
                + error.errors()[0]["msg"],
                "change the default or the annotation",
            ) from None
    own = component.cls.__doc__ if inspect.isclass(component.cls) else inspect.getdoc(component.cls)
    expect(bool(own), f"{shown} has no docstring", "say in a line what it does: `gantk list` shows it")
