"""Names of the recipe are found in parameters by their types, at any depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from gantk import ImageRef, Role
from gantk.plugins.names import named


@dataclass(frozen=True)
class Pair:
    """A role, and a value that is not a name."""

    role: Role
    weight: float = 1.0
    note: str = "here"


@pytest.mark.parametrize(
    ("annotation", "value", "found"),
    [
        (Role, "a", [(Role, "a")]),
        (str, "a", []),
        (Role | None, None, []),
        (Role | None, "a", [(Role, "a")]),
        (Annotated[Role, "more"], "a", [(Role, "a")]),
        (list[Role], ["a", "b"], [(Role, "a"), (Role, "b")]),
        (tuple[Role, ...], ("a", "b"), [(Role, "a"), (Role, "b")]),
        (tuple[str, Role, ImageRef], ("x", "a", "b.output"), [(Role, "a"), (ImageRef, "b.output")]),
        (dict[Role, float], {"a": 1.0}, [(Role, "a")]),
        (Mapping[str, list[ImageRef]], {"x": ["source"]}, [(ImageRef, "source")]),
        (Pair, Pair(Role("a")), [(Role, "a")]),
        (list[Pair], [Pair(Role("a")), Pair(Role("b"))], [(Role, "a"), (Role, "b")]),
        (list[int], [1, 2], []),
    ],
)
def test_names_are_found_at_any_depth(annotation: Any, value: Any, found: list[tuple[Any, str]]) -> None:
    assert list(named(annotation, value)) == found
