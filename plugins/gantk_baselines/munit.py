"""MUNIT: images are content and style; a translation combines the content with a random style of another modality."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Count, ImageRef, Needs, NonNegative, Role, Translation, View
from gantk_baselines.generators.resnet import decoder_layers, encoder_layers
from gantk_baselines.layers import InstanceNorm, check_image, check_layers

__all__ = ["Munit", "MunitGenerator"]


class StyledBlock(nn.Module):
    """A residual block whose two norms are scaled and shifted by the style (AdaIN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm = InstanceNorm(channels)

    def forward(self, x: Tensor, statistics: Tensor) -> Tensor:
        y = x
        for number, (convolution, part) in enumerate(zip(self.convolutions, statistics.chunk(2, dim=1), strict=True)):
            scale, shift = part[:, :, None, None].chunk(2, dim=1)
            y = self.norm(convolution(y)) * (1 + scale) + shift
            y = y if number else F.relu(y)
        return x + y


class MunitGenerator(nn.Module):
    """MUNIT's encoders of one modality and its decoder of another: (B, in_channels, H, W) to (B, out_channels, H, W).

    Layer 0 is the content of an image, layer 1 its style (B, style, 1, 1). The arguments `content` and `style` replace
    the encoded content and the random style. At test, the style is drawn from N(0, 1): `gantk predict --samples`.

    Source: Huang et al., "Multimodal unsupervised image-to-image translation", ECCV 2018 (64 channels, 2 halvings, 4
    blocks each, style of size 8; there the decoder's upsampling layers have layer norm).

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        channels: number of channels at full resolution.
        blocks: number of residual blocks in the encoder, and again in the decoder.
        style: size of the style vector.
    """

    def __init__(
        self, in_channels: int, out_channels: int, channels: Count = 64, blocks: Count = 4, style: Count = 8
    ) -> None:
        super().__init__()
        self.in_channels, self.style, self.size_multiple, width = in_channels, style, 4, 4 * channels
        self.content = nn.Sequential(*encoder_layers(in_channels, channels, blocks, "instance", False, 0.0))
        plain = encoder_layers(in_channels, channels, 0, "none", False, 0.0)
        self.styles = nn.Sequential(*plain, nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, style, 1))
        self.statistics = nn.Sequential(nn.Linear(style, 64), nn.ReLU(), nn.Linear(64, 4 * width * blocks))
        self.blocks = nn.ModuleList(StyledBlock(width) for _ in range(blocks))
        self.up = nn.Sequential(*decoder_layers(out_channels, channels, "instance", False))

    def forward(
        self,
        image: Tensor,
        layers: tuple[int, ...] = (),
        decode: bool = True,
        *,
        content: Tensor | None = None,
        style: Tensor | None = None,
    ) -> Tensor | Translation:
        """Translate with a style (B, style); if it is not given, it is random in training and 0 in evaluation."""
        check_image(image, self.in_channels, self.size_multiple, "MunitGenerator")
        check_layers(layers, 2, "MunitGenerator")
        content = self.content(image) if content is None else content
        features = {layer: self.styles(image) if layer else content for layer in layers}
        if not decode:
            return Translation(None, features)
        if style is None:
            style = torch.randn(len(image), self.style).to(image) * self.training
        x, statistics = content, self.statistics(style).chunk(len(self.blocks), dim=1)
        for block, part in zip(self.blocks, statistics, strict=True):
            x = block(x, part)
        return Translation(self.up(x), features) if layers else self.up(x)

    def sample(self, image: Tensor) -> Tensor:
        """A translation with a random style."""
        made = self(image, style=torch.randn(len(image), self.style).to(image))
        assert isinstance(made, Tensor)
        return made


class Munit:
    """MUNIT, one direction: x = (c, s), y of the other modality, x' = G_back(c, s), y' = G(c, s'), s' ~ N(0, 1).

    L_G = E[(D(y') − 1)²] + λ_x·E|x' − x| + λ_c·E|c(y') − c| + λ_s·E|s(y') − s'|, L_D = E[(D(y) − 1)²] + E[D(y')²];
    G encodes x as c and s; G_back encodes y' as c(y') and s(y'). Source: Huang et al., ECCV 2018, equations 2 to 5
    (10, 1 and 1).

    Args:
        back: role of the translator of the other direction, which needs its own `munit` term.
        real: y, the real image of the other modality.
        image: λ_x, weight of the image reconstruction.
        content: λ_c, weight of the content reconstruction.
        style: λ_s, weight of the style reconstruction.
    """

    def __init__(
        self,
        back: Role,
        real: ImageRef = ImageRef("target"),
        image: NonNegative = 10.0,
        content: NonNegative = 1.0,
        style: NonNegative = 1.0,
    ) -> None:
        self.needs = Needs(output=False, layers=(0, 1))
        self.back, self.real, self.weights = back, real, (image, content, style)

    def translated(self, view: View) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """y', and the content, the style and the random style (B, S) from which it was made."""
        code = view.features(layers=(0, 1))
        style = view.derive("style", code[1], lambda own: torch.randn(own.shape[:2]).to(own))
        return view.translate(given={"content": code[0], "style": style}), code[0], code[1].flatten(1), style

    def __call__(self, view: View) -> Tensor:
        made, content, own, style = self.translated(view)
        again = view.translate(view.image(self.real), self.back, given={"content": content, "style": own})
        found = view.features(made, layers=(0, 1), role=self.back)
        pairs = (again, view.source), (found[0], content), (found[1].flatten(1), style)
        fooled = torch.stack([(scores - 1).square().mean() for scores in view.judge_scales(made)]).mean()
        errors = [weight * (a - b).abs().mean() for weight, (a, b) in zip(self.weights, pairs, strict=True)]
        return fooled + torch.stack(errors).sum()

    def discriminator(self, view: View) -> Tensor:
        fake = self.translated(view)[0].detach()
        scales = zip(view.judge_scales(self.real), view.judge_scales(fake), strict=True)
        return torch.stack([(real - 1).square().mean() + scores.square().mean() for real, scores in scales]).mean()
