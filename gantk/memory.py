"""Running out of memory on CPU or GPU: one error that names the keys to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gantk.errors import GantkError, MemoryShortage

__all__ = ["enough_memory", "is_shortage"]

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
