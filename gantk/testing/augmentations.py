"""Conformance of augmentations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantk.testing.batches import make_image
from gantk.testing.checks import check_equal, check_finite, pickled
from gantk.testing.failures import expect
from gantk.testing.spatial import SpatialConformance

__all__ = ["AugmentationConformance"]


class AugmentationConformance(SpatialConformance):
    """Conformance of an augmentation of the discriminators' images; see `Conformance` for how to use it."""

    kind = "augmentation"

    def begun(self) -> nn.Module:
        """A new instance that changes images, even if it has to see real images first."""
        made: nn.Module = self.make()
        observe = getattr(made, "observe", lambda scores, images: None)
        for _ in range(200):
            observe(torch.ones(8), 10_000)
        return made

    @staticmethod
    def apply(made: nn.Module, image: Tensor, seed: int = 0) -> Tensor:
        """The augmented image, for a seed of torch's random numbers."""
        torch.manual_seed(seed)
        shown: Tensor = made(image)
        return shown

    def test_images(self) -> None:
        """Shape and type stay the same, values are finite, images change, and the gradient reaches them."""
        made, image = self.begun(), make_image(6, 2, self.spatial).requires_grad_()
        expect(isinstance(made, nn.Module), f"it is a {type(made).__name__}", "derive it from torch.nn.Module")
        changed = False
        for seed in range(5):
            shown = self.apply(made, image, seed)
            expect(
                shown.shape == image.shape and shown.dtype == image.dtype, f"it gave {tuple(shown.shape)}", "keep it"
            )
            check_finite("what it shows", shown.detach())
            changed |= not torch.equal(shown, image)
            (slope,) = torch.autograd.grad(shown.square().sum(), image)
            check_finite("the gradient of the image", slope)
            expect(bool(slope.any()), "the image gets no gradient", "use steps that can be differentiated")
        expect(changed, "five draws change nothing", "draw from torch's global generator")

    def test_seeded_and_resumed(self) -> None:
        """The same seed and state give the same images, also in a pickled copy and after loading the state."""
        made, other, image = self.begun(), self.make(), make_image(6, 2, self.spatial)
        other.load_state_dict({name: tensor.clone() for name, tensor in made.state_dict().items()})
        mend = "draw from torch's global generator alone, and keep what it remembers in buffers"
        for twin in (made, pickled(made), other):
            check_equal(self.apply(twin, image), self.apply(made, image), "from one seed it shows two things", mend)
