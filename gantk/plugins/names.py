"""Parameters that name a part of the recipe, found by types such as `gantk.Role` at any depth."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Annotated, Any, NewType, Union, get_args, get_origin, get_type_hints

__all__ = ["named"]


def named(annotation: Any, value: Any) -> Iterator[tuple[Any, str]]:
    """Every string in a parameter's value that its annotation marks as a name, with the name's type (a `NewType`)."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, NewType):
        if isinstance(value, str):
            yield annotation, value
    elif origin is Annotated:
        yield from named(arguments[0], value)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from named(argument, value)
    elif is_dataclass(annotation) and is_dataclass(value):
        for name, inner in get_type_hints(annotation, include_extras=True).items():
            yield from named(inner, getattr(value, name, None))
    elif isinstance(value, Mapping) and len(arguments) == 2:
        for key, item in value.items():
            yield from named(arguments[0], key)
            yield from named(arguments[1], item)
    elif isinstance(value, Sequence) and not isinstance(value, str) and arguments:
        each = arguments if origin is tuple and Ellipsis not in arguments else arguments[:1] * len(value)
        for inner, item in zip(each, value, strict=False):
            yield from named(inner, item)
