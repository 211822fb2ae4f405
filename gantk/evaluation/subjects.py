"""Whom an evaluation measured, as tables and reports name them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Subjects"]


@dataclass(frozen=True)
class Subjects:
    """The subjects of an evaluation, as tables name them.

    Args:
        noun: what one is called.
        trained_on: whether the networks were trained on the same.
        size: height and width at which images were measured; empty where it was not written down.
        left_out: who were neither trained on nor measured, as they lack an input.
    """

    noun: str = "patient"
    trained_on: bool = False
    size: tuple[int, int] | tuple[()] = ()
    left_out: tuple[str, ...] = ()

    @property
    def plural(self) -> str:
        """`patients`."""
        return f"{self.noun}s"

    @property
    def measured(self) -> str:
        """`test patients`, or `training patients` where these were measured."""
        return f"{'training' if self.trained_on else 'test'} {self.plural}"

    @property
    def measured_at(self) -> str:
        """`Measured at 96 × 80 pixels`; empty if the size was not recorded."""
        return f"Measured at {self.size[0]} × {self.size[1]} pixels" if self.size else ""

    @property
    def omitted(self) -> str:
        """`2 patients lack an input and were left out`; may be empty."""
        count = len(self.left_out)
        if count == 1:
            return f"1 {self.noun} lacks an input and was left out"
        return f"{count} {self.plural} lack an input and were left out" if count else ""

    @property
    def warning(self) -> str:
        """A warning for every reader of the numbers; may be empty."""
        return f"Measured on the training {self.plural}: nothing was held out" if self.trained_on else ""
