"""Conformance of weight schedules."""

from __future__ import annotations

import math
from typing import ClassVar

from gantk.testing.base import Conformance
from gantk.testing.checks import pickled
from gantk.testing.failures import expect
from gantk.translation import Moment

__all__ = ["WeightScheduleConformance"]


class WeightScheduleConformance(Conformance):
    """Conformance of a weight schedule; see `Conformance` for how to use it.

    Attributes:
        epochs: of the simulated training.
        steps: of an epoch.
    """

    kind = "weight_schedule"
    epochs: ClassVar[int] = 5
    steps: ClassVar[int] = 20

    @property
    def moments(self) -> list[Moment]:
        """Every step of a training of one stage."""
        steps = range(self.epochs * self.steps)
        return [Moment("training", step // self.steps, self.epochs, step) for step in steps]

    def test_weights(self) -> None:
        """A finite number in every step."""
        schedule = self.make()
        for moment in self.moments:
            weight = schedule(moment)
            expect(
                isinstance(weight, int | float) and math.isfinite(weight),
                f"the weight is {weight!r} in step {moment.step}",
                "return a finite number, not a tensor",
            )

    def test_moment_alone(self) -> None:
        """The same moment gives the same weight: in a second call, in another order, and in a pickled copy."""
        schedule = self.make()
        first = [schedule(moment) for moment in self.moments]
        again = [schedule(moment) for moment in reversed(self.moments)][::-1]
        copied = pickled(schedule)
        expect(
            first == again and first == [copied(moment) for moment in self.moments],
            "a moment that is asked for again has another weight: a resumed run would not go on as it was",
            "compute the weight from the moment and the parameters alone",
        )
