"""What a number in a recipe may be: annotations for the parameters of components, checked before anything is built.

A parameter `temperature: gantk.Positive = 0.07` refuses 0, -1, nan and inf, and `gantk show` and the JSON Schema say
so. A range of one's own is pydantic's: `Annotated[float, Field(ge=0, lt=1)]`.
"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Callable, Hashable
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, Field

__all__ = [
    "Count",
    "Dimensions",
    "Distinct",
    "Finite",
    "Fraction",
    "NonNegative",
    "Positive",
    "Whole",
    "plain_numbers",
    "rewritten",
]

T = TypeVar("T", bound=Hashable)


def _not_bool(value: Any) -> Any:
    """The value, unless it is true or false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("Input should be a number, not true or false")
    return value


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is named twice")
    return values


_NUMBER = BeforeValidator(_not_bool)

Count = Annotated[int, Field(ge=1), _NUMBER]
"""An integer of at least 1: channels, layers, epochs."""
Dimensions = Literal[2, 3]
"""The number of an image's dimensions: 2 for slices (H, W), 3 for volumes (D, H, W)."""
Whole = Annotated[int, Field(ge=0), _NUMBER]
"""An integer of at least 0: seeds, numbers of layers."""
Finite = Annotated[float, Field(allow_inf_nan=False), _NUMBER]
"""Any number, but neither infinite nor nan."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), _NUMBER]
"""A finite number above 0: temperatures, sizes in mm."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), _NUMBER]
"""A finite number of at least 0: weights, margins."""
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), _NUMBER]
"""A number from 0 to 1: probabilities, shares."""
Distinct = Annotated[tuple[T, ...], Field(min_length=1, description="all different"), AfterValidator(_distinct)]
"""A list with at least one item and none twice: `Distinct[gantk.Whole]` names layers."""


def plain_numbers(annotation: Any) -> Any:
    """The annotation in which no `int` and no `float` takes true or false, however deep it stands."""
    return rewritten(annotation, lambda one: Annotated[one, _NUMBER] if one in (int, float) else one)


def rewritten(annotation: Any, change: Callable[[Any], Any]) -> Any:
    """The annotation with the types in it changed, however deep they stand."""
    if (changed := change(annotation)) is not annotation:
        return changed
    origin, arguments = get_origin(annotation), get_args(annotation)
    if not arguments or origin in (Literal, collections.abc.Callable):
        return annotation
    if origin is Annotated:
        return Annotated[(rewritten(arguments[0], change), *arguments[1:])]
    inner = tuple(rewritten(argument, change) for argument in arguments)
    return reduce(or_, inner) if origin in (Union, types.UnionType) else origin[inner]
