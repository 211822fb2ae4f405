"""Dotted keys of nested tables."""

from __future__ import annotations

from gantk.recipe.dotted import leaves, value_at

TABLE = {"data": {"crop": [8, 8], "split": {"seed": 1}, "labels": {}}, "name": "x"}


def test_leaves_are_values_and_empty_tables() -> None:
    assert dict(leaves(TABLE)) == {"data.crop": [8, 8], "data.split.seed": 1, "data.labels": {}, "name": "x"}


def test_a_key_may_be_written_or_in_parts() -> None:
    assert value_at(TABLE, "data.split.seed") == value_at(TABLE, ["data", "split", "seed"]) == 1
    assert value_at({"a.b": {"c": 2}}, ["a.b", "c"]) == 2


def test_where_there_is_nothing_the_value_is_none() -> None:
    assert value_at(TABLE, "data.size") is None
    assert value_at(TABLE, "name.first.letter") is None  # a text has no keys
    assert all(value_at(TABLE, key) == value for key, value in leaves(TABLE))
