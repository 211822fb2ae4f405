"""Components within components: a parameter whose type is a kind of component is a table with `use` in a recipe.

`of: gantk.Generator` receives an instance, made with the arguments that the core supplies to the outer component;
`of: Callable[..., gantk.Generator]` receives a function that makes an instance, for example with other channels.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin

from pydantic import AfterValidator, WithJsonSchema

from gantk.ranges import rewritten
from gantk.recipe.values import Selection

if TYPE_CHECKING:
    from gantk.plugins.component import Component

__all__ = ["KIND", "Nested", "as_tables", "made", "nested_in", "of_kind", "resolved", "stands_for"]

KIND = "x-component"
"""The key by which a component's JSON schema says that a table names a component, and of which kind."""

_KINDS: dict[Any, str] = {}

T = TypeVar("T", bound=type)


def stands_for(kind: str) -> Callable[[T], T]:
    """Register a protocol or base class as the type of parameters that name a component of a kind."""

    def marked(cls: T) -> T:
        _KINDS[cls] = kind
        return cls

    return marked


def of_kind(annotation: Any) -> tuple[str, bool] | None:
    """The kind of component that a type stands for, and whether the parameter takes a function that makes it."""
    if get_origin(annotation) is collections.abc.Callable:
        kind = _KINDS.get(get_args(annotation)[-1])
        return None if kind is None else (kind, True)
    try:
        kind = _KINDS.get(annotation)
    except TypeError:  # not hashable
        return None
    return None if kind is None else (kind, False)


def as_tables(annotation: Any) -> Any:
    """The annotation, with types of components replaced by tables."""

    def table(one: Any) -> Any:
        found = of_kind(one)
        if found is None:
            return one
        kind, wants_maker = found
        said = AfterValidator(lambda said: _Said(kind, wants_maker, said))
        return Annotated[Selection, said, WithJsonSchema({"type": "object", KIND: kind})]

    return rewritten(annotation, table)


@dataclass(frozen=True)
class _Said:
    """A recipe's table that names a component, as parsed by pydantic."""

    kind: str
    wants_maker: bool
    said: Selection


@dataclass(frozen=True)
class Nested:
    """A component within another one, with checked parameters; a call makes an instance.

    Args:
        component: the inner component.
        values: its parameters.
        where: its place in the recipe.
        wants_maker: whether the outer component receives this object instead of an instance.
        supplied: the arguments that the core supplies to the outer component.
    """

    component: Component
    values: Mapping[str, Any]
    where: str
    wants_maker: bool
    supplied: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, **changes: Any) -> Any:
        """An instance, made with the core's arguments and changes of them, such as `in_channels=4`."""
        supplied = {**self.supplied, **changes}
        if "dimensions" in supplied:
            from gantk.plugins.dimensions import check_suited  # imports the registry

            check_suited(self.component, supplied["dimensions"], self.where)
        return self.component.make(self.values, self.where, **supplied)

    def __str__(self) -> str:
        return f'{{ use = "{self.component.name}" }}'


def resolved(value: Any, where: str, find: Callable[[str, str, str], Component]) -> Any:
    """A checked value with its components found and their parameters checked; raises as `Component.check` does."""
    match value:
        case _Said(kind=kind, said=said):
            component = find(kind, said.use, f"{where}.use")
            return Nested(component, component.check(said.parameters, where), where, value.wants_maker)
        case list() | tuple():
            return type(value)(resolved(one, f"{where}.{place}", find) for place, one in enumerate(value))
        case dict():
            return {key: resolved(one, f"{where}.{key}", find) for key, one in value.items()}
    return value


def made(value: Any, supplied: Mapping[str, Any]) -> Any:
    """A checked value with its components made, or with functions that make them."""
    match value:
        case Nested():
            ready = replace(value, supplied=supplied)
            return ready if value.wants_maker else ready()
        case list() | tuple():
            return type(value)(made(one, supplied) for one in value)
        case dict():
            return {key: made(one, supplied) for key, one in value.items()}
    return value


def nested_in(values: Mapping[str, Any]) -> Iterator[tuple[str, Nested]]:
    """The components in checked parameters, each with its path."""
    for place, value in values.items():
        match value:
            case Nested():
                yield place, value
            case list() | tuple():
                yield from nested_in({f"{place}.{number}": one for number, one in enumerate(value)})
            case dict():
                yield from nested_in({f"{place}.{key}": one for key, one in value.items()})
