"""Items are made one ahead of their use, in order, and their errors come where they would have come."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from gantk.data.ahead import ahead


def test_the_next_item_is_made_while_this_one_is_used() -> None:
    made = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in ahead(items()):
        if number + 1 < len(made):
            assert made[number + 1].wait(120)
        if number + 2 < len(made):
            assert not made[number + 2].wait(0.02)


def test_an_error_comes_after_the_items_before_it() -> None:
    items = ahead(1 // number for number in (1, 2, 0, 3))
    assert [next(items), next(items)] == [1, 0]
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_who_stops_early_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    items = ahead(iter(range(1000)))
    assert next(items) == 0
    items.close()
    assert set(threading.enumerate()) <= before
    assert list(ahead([])) == []
