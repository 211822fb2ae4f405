"""Which channel is which."""

from __future__ import annotations

import pytest

from gantk.data.layout import Domain, Layout
from gantk.errors import RecipeError

PLAIN = Layout(("t1", "t2", "flair"), ("t1ce",))
DEEP = Layout(("t1", "t2"), ("t1ce", "t1"), neighbours=1)
COLOUR = Layout(("a", "b"), ("c",), channels=3)


def test_channels_are_ordered_by_modality_slice_and_colour() -> None:
    assert [PLAIN.size("source"), PLAIN.size("target")] == [3, 1]
    assert PLAIN.planes("source", "flair") == PLAIN.image("source", "flair") == (2,)
    assert [DEEP.size("source"), DEEP.size("target")] == [6, 2]
    assert DEEP.planes("source", "t2") == (3, 4, 5)
    assert DEEP.image("source", "t2") == (4,)
    assert DEEP.image("target", "t1") == (1,)
    assert DEEP.own == (1, 4)
    assert PLAIN.own is COLOUR.own is None
    assert COLOUR.planes("source", "b") == COLOUR.image("source", "b") == (3, 4, 5)


def test_translators_take_inputs_and_give_targets_where_nothing_else_is_said() -> None:
    assert PLAIN.taken(None, "x") == Domain("source", None, 3)
    assert PLAIN.given(None, "x") == Domain("target", None, 1)


def test_a_translator_may_go_the_other_way() -> None:
    assert PLAIN.taken(["t1ce"], "x") == Domain("target", None, 1)
    assert PLAIN.given(["t1"], "x") == Domain("source", (0,), 1)
    assert PLAIN.given(["flair", "t1"], "x") == Domain("source", (2, 0), 2)


def test_all_channels_in_their_order_are_the_whole_image() -> None:
    assert PLAIN.taken(["t1", "t2", "flair"], "x").channels is None
    assert PLAIN.taken(["t2", "t1", "flair"], "x").channels == (1, 0, 2)


def test_what_is_given_is_one_slice_of_what_is_taken_with_its_neighbours() -> None:
    assert DEEP.taken(["t2"], "x") == Domain("source", (3, 4, 5), 3)
    assert Layout(("t1", "t2"), ("t1ce",), neighbours=1).given(["t2"], "x") == Domain("source", (4,), 1)


def test_a_modality_on_both_sides_is_taken_as_input_and_given_as_target() -> None:
    assert DEEP.taken(["t1"], "x").side == "source"
    assert DEEP.given(["t1"], "x") == Domain("target", (1,), 1)


def test_mistakes() -> None:
    with pytest.raises(RecipeError, match="'t3' is neither an input nor a target"):
        PLAIN.taken(["t3"], "translators.a.takes")
    with pytest.raises(RecipeError, match="partly inputs and partly targets"):
        PLAIN.taken(["t1", "t1ce"], "translators.a.takes")
