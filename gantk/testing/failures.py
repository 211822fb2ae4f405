"""The error of failed checks, which says what is wrong and how to fix it."""

from __future__ import annotations

from unittest import SkipTest

__all__ = ["ConformanceError", "expect", "skip"]


class ConformanceError(AssertionError):
    """A component breaks the contract of its kind.

    Args:
        what: the problem, a sentence without its period.
        mend: the fix, for the component's author.
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
    """The exception to raise if a check does not apply; pytest and unittest both know it."""
    return SkipTest(why)
