"""The journal of a run: an append-only `metrics.jsonl` that stays correct after crashes and resumes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gantk.files import atomic_write
from gantk.runs.lines import read_lines, record_of, written

__all__ = ["Journal", "Tail"]


class Journal:
    """Metrics of a run, one JSON object a line.

    A line is `{"seq", "step", "epoch", "stage", "time", "metrics", "crc"}`; `seq` counts lines from 0, `step` is the
    run's global training iteration and never decreases, `time` is in unix seconds, `metrics` maps names such
    as `train/teacher/pixelwise` to numbers (NaN and infinity are written as Python's json does), `crc` is the
    checksum that `gantk.runs.lines` verifies. Damaged lines are skipped; `RunFiles` reports them.

    Args:
        path: the file; created by the first `append`; reading a missing file returns no records.
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
        line = written(record)
        taken = os.write(self._fd, line)
        if taken != len(line):
            self.close()
            raise OSError(f"{self.path}: only {taken} of {len(line)} bytes could be written (is the disk full?)")
        self._next = seq + 1
        return seq

    def rewind(self, step: int) -> None:
        """Drop damaged lines and the lines after a checkpoint's `step`.

        The new file is written separately and replaces the old one atomically, so that a crash leaves one of the two.
        """
        self.close()
        if not self.path.exists():
            return
        lines = read_lines(self.path)
        kept = b"".join(line.content for line in lines if line.record is not None and line.record["step"] <= step)
        if len(kept) < self.path.stat().st_size:
            with atomic_write(self.path) as temporary:
                temporary.write_bytes(kept)

    def records(self) -> Iterator[dict[str, Any]]:
        """The records in order; damaged lines and an incomplete last line are skipped."""
        if not self.path.exists():
            return
        for line in read_lines(self.path):
            if line.record is not None:
                yield line.record

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> None:
        whole, last = 0, -1
        if self.path.exists():
            for line in read_lines(self.path):
                whole += len(line.content)
                if line.record is not None:
                    last = line.record["seq"]
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._fd, whole)
        self._next = last + 1


class Tail:
    """Reads the new lines of a journal since the last read, and starts over if the journal was rewound.

    Args:
        path: the journal's file, which need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._inode = -1
        self._offset = 0

    def read(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Up to `limit` records after those read before; empty if there are no new records."""
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
                self._offset += len(line)
                with suppress(ValueError):  # damaged
                    records.append(record_of(line))
        return records

    def back(self) -> None:
        """Start over at the next read."""
        self._offset = 0
