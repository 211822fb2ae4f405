"""Items made one ahead of their use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield the items in order, the next one made in a thread while the caller works on this one.

    An error while an item is made is raised where the item would have been yielded.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="gantk-loader") as thread:
        coming = thread.submit(next, source, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, source, end)
            yield item  # type: ignore[misc]  # `end` is not yielded
