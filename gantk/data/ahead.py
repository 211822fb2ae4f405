"""Iteration that computes the next item in advance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield the items in order; a thread computes the next item while the caller works on the current one.

    An error while computing an item is raised where that item would have been yielded.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="gantk-loader") as thread:
        coming = thread.submit(next, source, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, source, end)
            yield item  # type: ignore[misc]  # `end` is not yielded
