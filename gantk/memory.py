"""Memory: its peak, and one error that names the keys to lower when it runs out on CPU or GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from gantk.errors import GantkError, MemoryShortage

__all__ = ["enough_memory", "is_shortage", "peak_memory"]

#: Phrases by which torch, CUDA and MPS report it, if the type of the exception does not.
_SIGNS = (
    "allocate memory",
    "out of memory",
    "not enough memory",
    "ALLOC_FAILED",
    "Storage size calculation overflowed",
    "numel: integer multiplication overflow",
    "array is too big",
)


def is_shortage(error: BaseException) -> bool:
    """Whether an exception means that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError | ValueError) and any(sign in str(error) for sign in _SIGNS)


def peak_memory() -> int:
    """The most resident memory that this process has had so far, in bytes; where the system does not tell it, what it
    has now."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of getrusage would include the process that started this one
        said = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(said["VmHWM"].split()[0]) * 1024
    now = psutil.Process().memory_info()
    return int(getattr(now, "peak_wset", now.rss))


@contextmanager
def enough_memory(doing: str, lower: str) -> Iterator[None]:
    """A context for work whose memory depends on sizes in the recipe.

    Args:
        doing: the purpose, such as `to train`.
        lower: the keys that decide how much memory it takes.

    Raises:
        MemoryShortage: memory does not suffice.
    """
    try:
        yield
    except GantkError:
        raise
    except Exception as error:
        if not is_shortage(error):
            raise
        said = " ".join(str(error).split()).partition(" If reserved")[0]
        raise MemoryShortage(f"there is not enough memory {doing}", why=said or None, mend=f"lower {lower}") from error
