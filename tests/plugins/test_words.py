"""Types and values in the words of `gantk show`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import gantk
from gantk.plugins.words import type_words, value_words


class Table(BaseModel):
    """A table."""


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true or false"),
        (int | None, "integer"),
        (int | str, "integer or text"),
        (Annotated[float, Field(ge=0, lt=1)], "number ≥ 0, < 1"),
        (gantk.Count, "integer ≥ 1"),
        (Annotated[list[str], Field(min_length=1)], "list of text, not empty"),
        (Sequence[int], "list of integers"),
        (tuple[int, int], "2 × integer"),
        (tuple[int, str], "(integer, text)"),
        (tuple[float, ...], "list of numbers"),
        (Mapping[str, float], "table of number"),
        (Literal["a", 1], '"a", 1'),
        (Annotated[int, Field(multiple_of=4)], "integer, a multiple of 4"),
        (gantk.Role, "name of a translator"),
        (Callable[..., gantk.Generator], "table that names a generator"),
        (list[gantk.Generator], "list of tables that name a generator"),
        (Table, "table"),
        (Path, "path"),
    ],
)
def test_types(annotation: Any, words: str) -> None:
    assert type_words(annotation) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        (True, "true"),
        ("a", '"a"'),
        (Path("a/b"), '"a/b"'),
        ([1, 2.50], "[1, 2.5]"),
        ({"use": "ramp", "to": 5}, '{ use = "ramp", to = 5 }'),
        ({}, "{}"),
        (1e-10, "1e-10"),
    ],
)
def test_values_are_those_of_toml(value: Any, words: str) -> None:
    assert value_words(value) == words
