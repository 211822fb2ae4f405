"""The lines of a run's journal: each has its own checksum, so that damage to one line does not affect others."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Line", "read_lines", "record_of", "written"]

_CHECKSUM = b',"crc":"'
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("seq", "step", "epoch"), (int,)),
    "stage": (str,),
    "time": (int, float),
    "metrics": (dict,),
}


@dataclass(frozen=True)
class Line:
    """A complete line of the file.

    Attributes:
        number: counted from 1.
        content: its bytes, including the newline.
        record: the parsed record; None if the line is damaged.
    """

    number: int
    content: bytes
    record: dict[str, Any] | None


def written(record: Mapping[str, Any]) -> bytes:
    """A record as a line of JSON; its last key is the CRC-32 of the bytes before that key."""
    body = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
    return body + _CHECKSUM + b'%08x"}\n' % zlib.crc32(body)


def record_of(line: bytes) -> dict[str, Any]:
    """Parse a line; a line of an older gantk, without a checksum, is accepted if it has exactly the keys of a record.

    Raises:
        ValueError: the line is damaged.
    """
    body, mark, rest = line.rpartition(_CHECKSUM)
    if mark and rest != b'%08x"}\n' % zlib.crc32(body):
        raise ValueError("it differs from its checksum")
    try:
        record = json.loads(body + b"}" if mark else line)
    except RecursionError:
        raise ValueError("it is not a record") from None
    if not isinstance(record, dict) or record.keys() != _TYPES.keys():
        raise ValueError("it is not a record")
    if not all(isinstance(record[key], kinds) and type(record[key]) is not bool for key, kinds in _TYPES.items()):
        raise ValueError("its values are not those of a record")
    return record


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a journal in order; an incomplete last line, left by a killed process, is omitted.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        for number, content in enumerate(file, start=1):
            if content.endswith(b"\n"):
                try:
                    yield Line(number, content, record_of(content))
                except ValueError:
                    yield Line(number, content, None)
