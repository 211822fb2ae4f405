"""The terms of CycleGAN: cycle consistency and identity."""

from __future__ import annotations

from torch import Tensor

from gantk import ImageRef, Needs, Role, View

__all__ = ["Cycle", "Identity"]


class Cycle:
    """Cycle consistency: mean of m·|x − F(G(x))| with the term's weight map m (Zhu et al., 2017, eq. 2, one direction).

    x is the source `(B, C, H, W)` in [-1, 1], G is the term's translator, and F is the translator of the other
    direction. The term trains both.

    Args:
        back: F, the translator of the other direction.
    """

    def __init__(self, back: Role) -> None:
        self.back = back

    def __call__(self, view: View) -> Tensor:
        return view.weighted_mean((view.source - view.translate(view.output, role=self.back)).abs())


class Identity:
    """Identity: mean of |G(y) − y| for an image y that is already in the target domain (Zhu et al., 2017, section 5.2).

    y is `(B, T, H, W)` in [-1, 1]; a translator with several inputs receives y as each of them. Weight maps do not
    apply, because they describe the term's source, and y is another image.

    Args:
        image: y, the image that must not change.
    """

    needs = Needs(output=False)

    def __init__(self, image: ImageRef = ImageRef("target")) -> None:
        self.image = image

    def __call__(self, view: View) -> Tensor:
        image = view.image(self.image)
        return (view.translate(view.as_source(image)) - image).abs().mean()
