"""The subjects that an evaluation measured, in the words of tables and reports."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Subjects"]


@dataclass(frozen=True)
class Subjects:
    """The subjects of an evaluation, in the words of tables.

    Args:
        noun: the word for one subject.
        trained_on: whether the networks were trained on the same subjects.
        size: height and width at which images were measured; empty if not recorded.
        left_out: subjects that were neither trained on nor measured because they lack an input.
    """

    noun: str = "patient"
    trained_on: bool = False
    size: tuple[int, int] | tuple[()] = ()
    left_out: tuple[str, ...] = ()

    @property
    def plural(self) -> str:
        """The plural of the noun, such as `patients`."""
        return f"{self.noun}s"

    @property
    def measured(self) -> str:
        """`test patients`, or `training patients` if these were measured."""
        return f"{'training' if self.trained_on else 'test'} {self.plural}"

    @property
    def measured_at(self) -> str:
        """Such as `Measured at 96 × 80 pixels`; empty if the size was not recorded."""
        return f"Measured at {self.size[0]} × {self.size[1]} pixels" if self.size else ""

    @property
    def omitted(self) -> str:
        """Such as `2 patients lack an input and were left out`; may be empty."""
        count = len(self.left_out)
        if count == 1:
            return f"1 {self.noun} lacks an input and was left out"
        return f"{count} {self.plural} lack an input and were left out" if count else ""

    @property
    def warning(self) -> str:
        """A warning for every reader of the numbers; may be empty."""
        return f"Measured on the training {self.plural}: nothing was held out" if self.trained_on else ""
