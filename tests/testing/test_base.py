"""Signatures that no recipe can use are found, and named."""

from __future__ import annotations

import pytest

from mistakes import PlainLoss, failure


class Untyped(PlainLoss):
    """A component with a parameter without a type."""

    def __init__(self, factor=1) -> None:
        self.factor = factor


class Mistyped(PlainLoss):
    """A component with a default of a different type."""

    def __init__(self, factor: float = "one") -> None:  # type: ignore[assignment]
        self.factor = factor


class Taken(PlainLoss):
    """A component with a parameter that has the name of a recipe's key."""

    def __init__(self, weight: float = 1.0) -> None:
        self.factor = weight


@pytest.mark.parametrize(
    ("component", "words"),
    [(Untyped, "has no type"), (Mistyped, "is not of its type"), (Taken, "a key that recipes use themselves")],
)
def test_wrong_signatures(component: type, words: str) -> None:
    assert words in failure(component, "loss", "signature")
