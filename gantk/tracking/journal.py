"""The journal of a run: an append-only `metrics.jsonl` that is right after any crash and any resume."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gantk.errors import TrackingError
from gantk.files import atomic_write

__all__ = ["Journal", "Tail"]


class Journal:
    """Metrics of a run, one JSON object a line.

    A line is `{"seq", "step", "epoch", "stage", "time", "metrics"}`; `seq` counts lines from 0, `step` is the
    run's global training iteration and never decreases, `time` is in unix seconds, `metrics` maps names such
    as `train/teacher/pixelwise` to numbers (NaN and infinity are written as Python's json does).

    Args:
        path: the file; it is created by the first `append`, reading a missing one gives no records.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._fd: int | None = None
        self._next = 0

    def append(self, step: int, epoch: int, stage: str, metrics: Mapping[str, float]) -> int:
        """Write one line in a single system call and return its `seq`.

        Raises:
            OSError: the disk is full or the folder cannot be written; a torn last line is removed by the
                next `append` or `rewind`.
        """
        if self._fd is None:
            self._open()
        assert self._fd is not None
        seq = self._next
        record = {
            "seq": seq,
            "step": int(step),
            "epoch": int(epoch),
            "stage": stage,
            "time": round(time.time(), 3),
            "metrics": {name: float(value) for name, value in metrics.items()},
        }
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        written = os.write(self._fd, line)
        if written != len(line):
            self.close()
            raise OSError(f"{self.path}: only {written} of {len(line)} bytes could be written (is the disk full?)")
        self._next = seq + 1
        return seq

    def rewind(self, step: int) -> int:
        """Drop the lines after a checkpoint's `step` and those that are damaged; returns how many were dropped.

        The file is rewritten beside the old one and replaced at once, so that a crash leaves one of the two.
        """
        self.close()
        if not self.path.exists():
            return 0
        kept: list[bytes] = []
        dropped = 0
        for line, record in _lines(self.path, strict=False):
            if record is not None and record["step"] <= step:
                kept.append(line)
            else:
                dropped += 1
        if dropped:
            with atomic_write(self.path) as temporary:
                temporary.write_bytes(b"".join(kept))
        return dropped

    def records(self, after_seq: int = -1) -> Iterator[dict[str, Any]]:
        """The whole lines with a `seq` above `after_seq`, in order; a torn last line is left out.

        Raises:
            TrackingError: a line in the middle of the file is no JSON.
        """
        if not self.path.exists():
            return
        for _, record in _lines(self.path):
            if record is not None and record["seq"] > after_seq:
                yield record

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> None:
        whole, last = 0, -1
        if self.path.exists():
            for line, record in _lines(self.path):
                if record is not None:
                    whole, last = whole + len(line), record["seq"]
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._fd, whole)
        self._next = last + 1


class Tail:
    """Reads what a journal gained since the last read, and starts over where the journal was rewound.

    Args:
        path: the journal's file, which need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._inode = -1
        self._offset = 0

    def read(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Up to `limit` whole records beyond those read before; an empty list where there is nothing new."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return []
        with file:
            state = os.fstat(file.fileno())
            if state.st_ino != self._inode or state.st_size < self._offset:
                self._inode, self._offset = state.st_ino, 0
            file.seek(self._offset)
            records: list[dict[str, Any]] = []
            while len(records) < limit and (line := file.readline()).endswith(b"\n"):
                records.append(_parse(line, self.path, f"byte {self._offset}"))
                self._offset += len(line)
        return records

    def back(self) -> None:
        """Start over at the next read."""
        self._offset = 0


def _lines(path: Path, *, strict: bool = True) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """Each line with its record; None for a last line without its end and, unless `strict`, for a damaged line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            whole = line.endswith(b"\n")
            try:
                yield line, _parse(line, path, f"line {number}") if whole else None
            except TrackingError:
                if strict:
                    raise
                yield line, None


def _parse(line: bytes, path: Path, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or not isinstance(record.get("metrics"), dict):
            raise ValueError("it is no journal record")
        if type(record.get("seq")) is not int or type(record.get("step")) is not int:
            raise ValueError("its numbers are none")
    except (ValueError, RecursionError) as error:
        raise TrackingError(
            "the journal of the run is damaged",
            where=f"{path}, {place}",
            why=error,
            mend="take that line out, as --resume does; every other line stays valid",
        ) from error
    return record
