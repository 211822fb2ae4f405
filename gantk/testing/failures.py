"""How a check says what is wrong and how to mend it."""

from __future__ import annotations

from unittest import SkipTest

__all__ = ["ConformanceError", "expect", "skip"]


class ConformanceError(AssertionError):
    """A component breaks the contract of its kind.

    Args:
        what: what was found, a sentence without its full stop.
        mend: what the component's author can do.
    """

    def __init__(self, what: str, mend: str) -> None:
        self.what = what
        self.mend = mend
        super().__init__(f"{what}.\nMend: {mend}.")


def expect(condition: bool, what: str, mend: str) -> None:
    """Raise `ConformanceError` unless the condition holds."""
    if not condition:
        raise ConformanceError(what, mend)


def skip(why: str) -> SkipTest:
    """What to raise where a check does not apply; pytest and unittest both know it."""
    return SkipTest(why)
