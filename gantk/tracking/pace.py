"""The pace of a run, from its journal: the epoch, and seconds per step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import Any

__all__ = ["Pace", "with_pace"]


class Pace:
    """Receives the journal's records in order, and adds records after each epoch.

    The time of a step is the median over the epoch, so that validation, checkpoints and pauses between two runs are
    ignored.
    """

    def __init__(self) -> None:
        self._last: Mapping[str, Any] = {}
        self._epochs = 0
        self._seconds: list[float] = []

    def of(self, record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """If this record begins an epoch: a record on the previous epoch, at its last step, and the new epoch's number.

        `run/epoch` counts epochs over all stages from 0, recorded at the first step of each epoch.
        """
        last, self._last = self._last, record
        begins = not last or (last["stage"], last["epoch"]) != (record["stage"], record["epoch"])
        if begins:
            yield from self._over(last)
            yield {**record, "metrics": {"run/epoch": self._epochs}}
            self._epochs += 1
        elif record["step"] == last["step"] + 1:
            self._seconds.append(record["time"] - last["time"])

    def end(self) -> Iterator[dict[str, Any]]:
        """The record on the last epoch."""
        yield from self._over(self._last)

    def _over(self, last: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if self._seconds:
            yield {**last, "metrics": {"run/seconds per step": median(self._seconds)}}
            self._seconds = []


def with_pace(records: Iterable[Mapping[str, Any]], pace: Pace, ended: bool) -> Iterator[Mapping[str, Any]]:
    """The records of the journal, each followed by the records that the pace adds."""
    for record in records:
        yield record
        yield from pace.of(record)
    if ended:
        yield from pace.end()
