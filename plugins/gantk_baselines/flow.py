"""Flow matching: a generator that turns noise into an image in steps, and the loss that trains it."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gantk import Count, Dimensions, Needs, Translation, View
from gantk_baselines.dimensional import beside
from gantk_baselines.generators.unet import Unet
from gantk_baselines.layers import Dropout, Levels, Norm

__all__ = ["FlowMatching", "FlowUnet"]


class FlowUnet(nn.Module):
    """A U-Net that predicts the target from a noisy state of it: (B, C, *spatial) to (B, out_channels, *spatial).

    x̂ = U(x, x_t, t), with the state x_t, of the target's shape, and the time t (B, 1) as further channels. The term
    provides both; the default is 0. In evaluation and prediction the generator samples: it starts with noise x_0 and
    takes n steps of Euler's method along the velocity (x̂ − x_t) / (1 − t). `gantk predict --samples` draws several.

    Sources: Lipman et al., "Flow matching for generative modeling", ICLR 2023; predicting the image instead of the
    velocity: Li and He, "Back to basics: let denoising generative models denoise", 2025.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        steps: n, the number of steps.
        levels: number of halvings of the U-Net.
        channels: number of channels of the U-Net's first level.
        norm: "instance", "batch" or "none".
        dropout: probability in the upsampling levels of full width.
        dimensions: number of dimensions of an image, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        steps: Annotated[int, Field(ge=1, le=1000)] = 10,
        levels: Levels = 4,
        channels: Count = 64,
        norm: Norm = "instance",
        dropout: Dropout = 0.0,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.steps = steps
        inputs = in_channels + out_channels + 1
        self.network = Unet(inputs, out_channels, levels, channels, norm, dropout, dimensions=dimensions)
        self.size_multiple = self.network.size_multiple

    def forward(
        self,
        image: Tensor,
        layers: tuple[int, ...] = (),
        decode: bool = True,
        *,
        state: Tensor | None = None,
        t: Tensor | None = None,
    ) -> Tensor | Translation:
        """The expected target; layers are the U-Net's."""
        batch, _, *size = image.shape
        state = image.new_zeros(batch, self.out_channels, *size) if state is None else state
        t = image.new_zeros(batch, 1) if t is None else t
        time = beside(t, image).expand(-1, 1, *size)
        return self.network(torch.cat([image, state, time], dim=1), layers, decode)

    def sample(self, image: Tensor) -> Tensor:
        """One sample of the target, drawn from torch's global generator."""
        batch, _, *size = image.shape
        state = torch.randn(batch, self.out_channels, *size).to(image)
        for step in range(self.steps):
            t = image.new_full((batch, 1), step / self.steps)
            likely = self(image, state=state, t=t)
            state = state + (likely - state) / (self.steps - step)
        return state.clamp(-1, 1)


class FlowMatching:
    """Flow matching: mean of m·(v̂ − v)² with x_t = t·y + (1 − t)·x_0, v = y − x_0, noise x_0 and t uniform in [0, 1].

    The generator predicts y, so v̂ − v = (x̂ − y) / (1 − t), where 1 − t counts as 0.05 at least. It must take `state`
    and `t`, as `flow_unet` does. Source: Lipman et al., ICLR 2023.
    """

    needs = Needs(target=True, output=False)

    def __call__(self, view: View) -> Tensor:
        target = view.target
        t = torch.rand(len(target), 1).to(target)
        along = beside(t, target)
        state = along * target + (1 - along) * torch.randn(target.shape).to(target)
        likely = view.translate(given={"state": state, "t": t})
        return view.weighted_mean(((likely - target) / (1 - along).clamp(min=0.05)).square())
