"""A pool of past outputs, some of which a discriminator sees in place of the newest (Shrivastava et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """The first `size` images pass and are stored; then each is, with probability 1/2, exchanged for a stored one.

    Its images are buffers, so they are in every checkpoint. Draws come from torch's global generator.

    Args:
        size: images that it holds.
        shape: (C, *spatial) of one.
    """

    images: Tensor
    stored: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("stored", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, batch: Tensor) -> Tensor:
        """New images `(B, C, *spatial)` in, as many out, without gradient."""
        shown, count = batch.clone(), int(self.stored)
        for number, image in enumerate(batch):
            if count < len(self.images):
                self.images[count] = image
                count += 1
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(len(self.images), ()))
                shown[number] = self.images[place]
                self.images[place] = image
        self.stored.fill_(count)
        return shown
