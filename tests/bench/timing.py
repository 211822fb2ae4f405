"""Things timed in turns, so that what else happens on the machine meets all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

__all__ = ["Seconds", "Spread", "in_turns"]


class Seconds(NamedTuple):
    """What some work took: the process's own time, all threads together, and the clock's."""

    cpu: float
    wall: float


class Spread(NamedTuple):
    """Median and quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least two values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, median, high)

    def __str__(self) -> str:
        return f"{self.median:.3f} (quartiles {self.low:.3f} to {self.high:.3f})"


def in_turns(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Seconds]]:
    """The time of each piece of work in each round; every round begins with another one."""
    names = list(sides)
    spent: dict[str, list[Seconds]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            cpu, wall = time.process_time(), time.perf_counter()
            sides[name]()
            spent[name].append(Seconds(time.process_time() - cpu, time.perf_counter() - wall))
    return spent
