"""Consistency with another translator on another view of the slices."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from gantk import Needs, Role, View

__all__ = ["Consistency"]


class Consistency:
    """Consistency: mean of m·(G(x) − T⁻¹(G_T(T(x))))² or of the magnitudes, with the term's weight map m.

    T mirrors left and right, and G_T is the teacher, whose output has no gradient. With a teacher that is the average
    of the translator itself (`average_of`), this is Mean Teacher's term (Tarvainen and Valpola, "Mean teachers are
    better role models", NeurIPS 2017, section 2). The paper ramps its weight up: `weight = { use = "ramp", … }`.

    Args:
        teacher: the translator that is followed.
        view: input of the teacher: the mirrored slices, with the output mirrored back, or the unchanged slices.
        augmented: a transform of the recipe that is applied `on_request`: the translator receives the transformed
            slices, and the teacher's output is transformed like a target.
        distance: l2 (the square) or l1.
    """

    def __init__(
        self,
        teacher: Role,
        view: Literal["mirrored", "same"] = "mirrored",
        distance: Literal["l2", "l1"] = "l2",
        augmented: str = "",
    ) -> None:
        self.needs = Needs(roles=(teacher,))
        self.teacher = teacher
        self.view = view
        self.distance = distance
        self.augmented = augmented

    def __call__(self, view: View) -> Tensor:
        if self.view == "mirrored":
            wanted = view.mirrored().translate(role=self.teacher, grad=False).flip(-1)
        else:
            wanted = view.translate(role=self.teacher, grad=False)
        if self.augmented:
            view = view.augmented(self.augmented)
            wanted = view.moved(wanted)
        error = view.output - wanted
        return view.weighted_mean(error.square() if self.distance == "l2" else error.abs())
