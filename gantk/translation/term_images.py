"""The images that a step holds for one term."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from torch import Tensor

from gantk.errors import PluginError, TrainingError
from gantk.translation.residual import Residual
from gantk.translation.step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gantk.data.batch import Group
    from gantk.recipe.values import Update
    from gantk.translation.protocols import Moment
    from gantk.translation.term import Term
    from gantk.translation.translator import Translator

__all__ = ["TermImages"]


class TermImages:
    """The images of a step for one role and batch group, before any network translates or judges them."""

    def __init__(self, step: Step, role: str, group: str, term: Term | None = None, side: Update = "generator") -> None:
        self.step = step
        self.role = role
        self._group = group
        self._term = term
        self._side: Update = side

    @property
    def group(self) -> Group:
        """The term's batch group."""
        return self.step.group(self._group)

    def augmented(self, transform: str) -> Self:
        """A view of the term's group after a transform of the recipe that is applied `on_request`.

        Everything in this view belongs to the changed group: source, target, segmentation, output, weight map, inputs
        beside images.
        """
        return type(self)(self.step, self.role, self.step.augmented(self._group, transform), self._term, self._side)

    def mirrored(self) -> Self:
        """A view of the term's group mirrored from left to right, with segmentation and inputs beside images.

        The output of a network there, mirrored back (`.flip(-1)`), is another answer for the same slices.
        """
        return type(self)(self.step, self.role, self.step.mirrored(self._group), self._term, self._side)

    def moved(self, image: Tensor) -> Tensor:
        """For an augmented view: an image of the original slices, changed as the target was; with gradient. So a
        network's output for the original slices can be compared with its output for the augmented ones."""
        return self.step.moved(self._group, image)

    @property
    def moment(self) -> Moment:
        """Where in the training the step is: stage, epoch, and step over the run; at rest, where the training is."""
        return self.step.moment

    @property
    def translator(self) -> Translator:
        """The term's translator."""
        return self.step.translators[self.role]

    @property
    def source(self) -> Tensor:
        """The input of the term's translator, `(B, C, *spatial)`."""
        return self.step.source(self.role, self._group)

    @property
    def target(self) -> Tensor:
        """The image that the translator should produce, `(B, T, *spatial)`."""
        return self.step.image(self._group, self.translator.gives)

    @property
    def start(self) -> Tensor:
        """The image of the source that the term's translator changes, `(B, T, *spatial)`; see `Needs.start`.

        Raises:
            PluginError: the translator changes no input, but makes its images from nothing.
        """
        generator = self.translator.generator
        if not isinstance(generator, Residual):
            raise PluginError(
                f"a component asks for the image that the translator {self.role!r} changes, but it changes none",
                mend=f"set residual = MODALITY in translators.{self.role}",
            )
        return self.step.derive(f"start {generator.channels}", self.source, generator.start)

    @property
    def available(self) -> Tensor:
        """Which channels of the source are present, bool `(B, C)`: those with any pixel above the background."""
        return self.step.derive("available", self.source, lambda image: (image > -1).flatten(2).any(dim=2))

    @property
    def foreground(self) -> Tensor:
        """Where any input is above the background, bool `(B, 1, *spatial)`."""
        return self.group.foreground

    @property
    def segmentation(self) -> Tensor:
        """Labels as `gantk.labels` has them, uint8 `(B, 1, *spatial)`; zeros where a patient has none."""
        segmentation = self.group.segmentation
        if segmentation is None:
            raise TrainingError(f"the batch group {self._group!r} has no segmentation")
        return segmentation

    @property
    def given(self) -> Mapping[str, Tensor]:
        """The generator's inputs beside the source, by name: `(B, K)`, or `(B, K, *spatial)` per pixel; categories are
        one-hot. `group.extra` has the same values as category indices."""
        return self.step.given(self.role, self._group)
