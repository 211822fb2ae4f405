"""The numbers of dimensions in which a component works: slices `(B, C, H, W)`, volumes `(B, C, D, H, W)`, or both."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from gantk.errors import PluginError, RecipeError
from gantk.plugins.kinds import KINDS

if TYPE_CHECKING:
    from gantk.plugins.component import Component
    from gantk.plugins.registry import Registry

__all__ = ["ARGUMENT", "NOUNS", "dimensions_of", "suited"]

#: The constructor argument that tells a component the number of dimensions.
ARGUMENT = "dimensions"
NOUNS = {2: "slices", 3: "volumes"}


def dimensions_of(component: Component) -> tuple[int, ...]:
    """The numbers of dimensions in which a component works.

    The type of its constructor's argument `dimensions` declares them: `Literal[2]` for slices alone,
    `gantk.Dimensions` or `int` for both. Without the argument, networks and metrics work on slices alone, and
    components of other kinds on both.

    Raises:
        PluginError: the argument's type is none of these.
    """
    kind = KINDS[component.kind]
    if ARGUMENT not in kind.supplied or ARGUMENT not in component.arguments:
        return kind.undeclared
    found = tuple(sorted(_numbers(component.arguments[ARGUMENT].type)))
    if not found:
        raise PluginError(
            f"the {component.origin} does not say in how many dimensions it works",
            where=f"plugin {component.plugin}",
            mend="annotate its argument as dimensions: gantk.Dimensions, or Literal[2] for slices alone",
        )
    return found


def _numbers(annotation: Any) -> set[int]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is int:
        return set(NOUNS)
    if origin is Literal:
        return set(NOUNS) & set(arguments)
    if origin is Annotated:
        return _numbers(arguments[0])
    if origin in (Union, types.UnionType):
        return set().union(*map(_numbers, arguments))
    return set()


def suited(registry: Registry, kind: str, name: str, dimensions: int, where: str) -> Component:
    """The component of that name; checks that it works in the given number of dimensions.

    Raises:
        MissingComponent: there is none.
        RecipeError: it does not.
    """
    component = registry.get(kind, name, where)
    check_suited(component, dimensions, where)
    return component


def check_suited(component: Component, dimensions: int, where: str) -> None:
    """Check that a component works in the given number of dimensions.

    Raises:
        RecipeError: it does not.
    """
    known, registry = dimensions_of(component), component.registry or ()
    if dimensions in known:
        return
    others = sorted(c.name for c in registry if c.kind == component.kind and dimensions in dimensions_of(c))
    means = " and ".join(NOUNS[number] for number in known)
    raise RecipeError(
        f"the {component.origin} works on {means}, but the recipe trains on {NOUNS[dimensions]}",
        where=where,
        why=f"data.dimensions = {dimensions}",
        mend=f"choose {_one_of(others)}" if others else f"set data.dimensions = {known[0]}",
    )


def _one_of(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
