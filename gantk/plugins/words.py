"""Types and values in words, for readers of recipes."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gantk.plugins.nested import of_kind

__all__ = ["type_words", "value_words"]

PLAIN = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path", Any: "any"}
NAMES = {"Role": "name of a translator", "ImageRef": "name of an image", "MetricName": "name of a metric"}
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def type_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type in words, with its bounds: `number ≥ 0`, `list of texts, not empty`."""
    bounds, more = _bounds(metadata)
    return ", ".join([f"{_type(annotation)} {', '.join(bounds)}".strip(), *more])


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        return " or ".join(_type(a) for a in arguments if a is not type(None))
    if origin is Literal:
        return ", ".join(value_words(value) for value in arguments)
    if origin is tuple and Ellipsis not in arguments:
        kinds = {_type(a) for a in arguments}
        return f"{len(arguments)} × {kinds.pop()}" if len(kinds) == 1 else "(" + ", ".join(map(_type, arguments)) + ")"
    if origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, Sequence)):
        return f"list of {_plural(_type(arguments[0]))}"
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return f"table of {_type(arguments[1])}"
    if (nested := of_kind(annotation)) is not None:
        return f"table that names a {nested[0].replace('_', ' ')}"
    if annotation in PLAIN:
        return PLAIN[annotation]
    if isinstance(annotation, NewType):
        return NAMES.get(annotation.__name__, "text")
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "table"
    return getattr(annotation, "__name__", str(annotation))


def _plural(kind: str) -> str:
    word, space, rest = kind.partition(" ")
    rest = rest.replace("that names", "that name")
    return f"{word}s{space}{rest}" if word in ("integer", "number", "path", "table") else kind


def _bounds(metadata: Iterable[Any]) -> tuple[list[str], list[str]]:
    """Bounds as signs such as `≥`, or in words if there is no sign."""
    found, more = [], []
    for item in metadata:
        for one in getattr(item, "metadata", [item]):  # pydantic's Field contains several
            found += [f"{sign} {getattr(one, name)}" for name, sign in BOUNDS.items() if hasattr(one, name)]
            more += [f"a multiple of {one.multiple_of}"] if hasattr(one, "multiple_of") else []
            more += ["not empty"] if getattr(one, "min_length", 0) else []
        if isinstance(item, FieldInfo) and item.description:
            more.append(item.description)
    return found, more


def value_words(value: Any) -> str:
    """A value as written in a recipe; `none` for None, which recipes leave out because TOML has no such value."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {value_words(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_words, value)) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
