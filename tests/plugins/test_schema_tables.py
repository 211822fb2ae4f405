"""The schema of a table that names a component: its own keys, and the parameters of that component alone."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from jsonschema import Draft7Validator

from gantk import Loss
from gantk.plugins import Component, Registry
from gantk.plugins.schema_tables import Tables
from gantk.recipe.model import LossSettings


class Soft:
    """A loss.

    Args:
        sharpness: how sharp.
    """

    def __init__(self, sharpness: float = 1.0, mode: Literal["a", "b"] = "a") -> None: ...


class Hard:
    """Another.

    Args:
        sharpness: how hard.
    """

    def __init__(self, margin: int, sharpness: float = 2.0) -> None: ...


class Several:
    """A loss of other losses."""

    def __init__(self, of: list[Loss]) -> None: ...


@pytest.fixture
def tables() -> Tables:
    registry = Registry()
    registry.add(
        Component("soft", "loss", Soft, "p", "1", formerly=("gentle",)),
        Component("hard", "loss", Hard, "p", "1"),
        Component("several", "loss", Several, "p", "1"),
    )
    return Tables(registry)


def accepted(tables: Tables, table: dict[str, Any]) -> bool:
    schema = tables.table("losses", "loss", LossSettings)
    return not list(Draft7Validator({**schema, "$defs": tables.defs}).iter_errors(table))


@pytest.mark.parametrize(
    ("table", "good"),
    [
        ({"use": "soft", "sharpness": 2.0, "mode": "b", "weight": 3}, True),
        ({"use": "gentle", "mode": "a"}, True),
        ({"use": "soft", "mode": "c"}, False),
        ({"use": "soft", "margin": 1}, False),
        ({"use": "hard", "margin": 1}, True),
        ({"use": "sof"}, False),
        ({"margin": 1, "mode": "a"}, True),  # the parent names the component
        ({"marjin": 1}, False),
        ({"use": "several", "of": [{"use": "soft", "mode": "b"}]}, True),
        ({"use": "several", "of": [{"use": "soft", "margin": 1}]}, False),
        ({"use": "several", "of": [{"mode": "b"}]}, False),
    ],
)
def test_a_table_has_the_parameters_of_the_component_that_it_names(
    tables: Tables, table: dict[str, Any], good: bool
) -> None:
    assert accepted(tables, table) == good


def test_what_a_component_needs_is_a_condition_of_its_own(tables: Tables) -> None:
    tables.table("losses", "loss", LossSettings)
    needed = Draft7Validator({"allOf": tables.required["losses"]})
    assert needed.is_valid({"use": "soft"})
    assert needed.is_valid({"use": "hard", "margin": 1})
    assert not needed.is_valid({"use": "hard"})


def test_editors_are_told_what_each_component_means_by_a_parameter(tables: Tables) -> None:
    keys = tables.table("losses", "loss", LossSettings)["properties"]
    assert keys["use"]["enum"] == ["gentle", "hard", "several", "soft"]
    assert keys["sharpness"]["description"] == "soft: how sharp.\n\nhard: how hard."
    assert keys["sharpness"]["type"] == "number"
    assert keys["map"]["description"] == "Weight map that multiplies the term's error at each pixel; default: none."
