"""The ResViT generator: a residual CNN with transformers in its bottleneck."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gantk import Count, GantkError, Positive
from gantk_baselines.generators.layered import LayeredGenerator
from gantk_baselines.generators.resnet import ResidualBlock, decoder_layers, encoder_layers
from gantk_baselines.layers import Blocks, Dropout, Norm, convolution_bias, initialise, normalisation
from gantk_baselines.pretrained import quiet_hub

__all__ = ["ArtBlock", "Resvit", "Transformer"]


class Transformer(nn.Module):
    """The encoder of a vision transformer: tokens (B, N, hidden) to tokens of the same shape.

    `depth` pre-norm blocks of timm, z' = z + MSA(LN(z)), z'' = z' + MLP(LN(z')), and a last LN.

    Args:
        hidden: width of a token, a multiple of heads.
        depth: blocks.
        heads: attention heads.
        mlp_ratio: the MLP's hidden width as a multiple of a token's width.
        dropout: probability inside the MLPs.
    """

    def __init__(self, hidden: int, depth: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        from timm.layers import LayerNorm  # takes seconds
        from timm.models.vision_transformer import Block

        super().__init__()
        self.blocks = nn.Sequential(
            *(Block(hidden, heads, mlp_ratio, qkv_bias=True, proj_drop=dropout) for _ in range(depth))
        )
        for block in self.blocks:
            block.attn.proj_drop = nn.Identity()  # as published, attention has no dropout
        self.norm = LayerNorm(hidden, eps=1e-6)
        initialise(self, "normal", 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.norm(self.blocks(tokens))


class _Bridge(nn.Module):
    """A map (B, C, h, w) to tokens on a grid of (h/4, w/4), through a transformer, and back, merged with the map."""

    def __init__(self, channels: int, hidden: int, grid: tuple[int, int], norm: Norm, dropout: float) -> None:
        super().__init__()
        bias = convolution_bias(norm)

        def layers(kind: type[nn.Module], widths: tuple[int, int, int], **options: int) -> nn.Sequential:
            stack: list[nn.Module] = []
            for source, target in pairwise(widths):
                stack += [
                    kind(source, target, 3, stride=2, padding=1, bias=bias, **options),
                    normalisation(norm, target),
                    nn.ReLU(),
                ]
            return nn.Sequential(*stack)

        self.down = layers(nn.Conv2d, (channels, 2 * channels, 4 * channels))
        self.embedding = nn.Conv2d(4 * channels, hidden, 1)
        self.positions = nn.Parameter(torch.zeros(1, hidden, *grid))
        self.dropout = nn.Dropout(dropout)
        self.up = layers(nn.ConvTranspose2d, (hidden, 2 * channels, channels), output_padding=1)
        self.compression = _Compression(2 * channels, channels, norm)

    def forward(self, x: Tensor, transformer: nn.Module) -> Tensor:
        grid = self.embedding(self.down(x))
        size = grid.shape[-2:]
        positions = self.positions
        # an exported network accepts other image sizes than the traced one
        if torch.compiler.is_exporting() or positions.shape[-2:] != size:
            positions = F.interpolate(positions, size=size, mode="bicubic", align_corners=False)
        tokens = self.dropout(grid + positions).flatten(2).transpose(1, 2)
        context = transformer(tokens).transpose(1, 2).unflatten(2, size)
        return self.compression(torch.cat([self.up(context), x], dim=1))


class _Compression(nn.Module):
    """Channel compression: ReLU(norm(conv1×1(x)) + norm(conv3×3(ReLU(norm(conv3×3(x)))))), no bias as published."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.skip = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), normalisation(norm, out_channels)
        )
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            normalisation(norm, out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            normalisation(norm, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.skip(x) + self.body(x))


class ArtBlock(nn.Module):
    """Aggregated residual transformer block, (B, C, h, w) to the same shape: h = compress([x, T(x)]), then
    h + norm(conv(ReLU(norm(conv(h))))); without a transformer h = x.

    Args:
        residual: the residual convolutions.
        bridge: the conversion to tokens and back; None in a block without transformer.
    """

    def __init__(self, residual: ResidualBlock, bridge: _Bridge | None = None) -> None:
        super().__init__()
        self.residual = residual
        self.bridge = bridge

    def forward(self, x: Tensor, transformer: nn.Module | None = None) -> Tensor:
        """Run the block on x; several blocks of the network may share `transformer`."""
        if self.bridge is not None and transformer is not None:
            x = self.bridge(x, transformer)
        return self.residual(x)


class Resvit(LayeredGenerator):
    """ResViT generator: (B, in_channels, H, W) float to (B, out_channels, H, W) in (−1, 1).

    A ResNet generator (strided, not antialiased) whose residual blocks are ART blocks; the blocks listed in
    `transformers` contain a transformer. Their maps are halved twice more, so that a token represents 16×16 pixels: H
    and W are multiples of 16 and at least 32; without transformers, multiples of 4 and at least 8. Learned positions
    are stored for `image_size` and interpolated for other sizes. Layers are numbered as in the strided `resnet`: 0–9
    encoder, then the blocks, then the decoder. Apart from the transformers' weights, networks with and without
    transformers have the same weights under the same names.

    Source: Dalmaz et al., "ResViT", IEEE TMI 2022, and its code: batch norm, transformers in the first and sixth of
    nine blocks with shared weights, 768 wide, 12 deep, 12 heads, from R50+ViT-B/16 of ImageNet-21k. (The published code
    also uses that network's positions and patch embedding, which here start at 0 and at random values.)

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        image_size: (H, W) of the learned positions.
        channels: width of the first convolution.
        blocks: number of ART blocks.
        transformers: the blocks that contain a transformer, counted from 1; empty for only the CNN.
        share_transformers: whether all of these blocks share the weights of one transformer.
        hidden: width of a token.
        depth: number of blocks of each transformer.
        heads: attention heads.
        mlp_ratio: width of a transformer's MLPs, as a multiple of hidden.
        dropout: probability at the embedding and in the transformer's MLPs.
        pretrained: name of a timm vision transformer with the same width and depth whose blocks initialize the
            transformers (published: "vit_base_r50_s16_224.orig_in21k"); empty for none.
        norm: "instance", "batch" or "none".
        init: initialization of the convolutions: "default" (PyTorch's, as in the published code), "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization, unless it is PyTorch's.

    Raises:
        GantkError: a transformer lies outside the blocks, the width is not a multiple of heads, or weights do not fit
            or could not be loaded.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        image_size: tuple[int, int] = (256, 256),
        channels: Count = 64,
        blocks: Blocks = 9,
        transformers: tuple[Count, ...] = (1, 6),
        share_transformers: bool = True,
        hidden: Count = 768,
        depth: Annotated[int, Field(ge=1, le=1000)] = 12,
        heads: Count = 12,
        mlp_ratio: Positive = 4.0,
        dropout: Dropout = 0.1,
        pretrained: str = "",
        norm: Norm = "batch",
        init: Literal["default", "normal", "xavier"] = "default",
        init_gain: Positive = 0.02,
    ) -> None:
        super().__init__()
        _check_transformers(transformers, blocks, hidden, heads)
        self.in_channels = in_channels
        self.size_multiple = 16 if transformers else 4
        self.least = 2 * self.size_multiple
        width, grid = 4 * channels, (max(1, image_size[0] // 16), max(1, image_size[1] // 16))
        bottleneck = [
            ArtBlock(
                ResidualBlock(width, norm),
                _Bridge(width, hidden, grid, norm, dropout) if number in transformers else None,
            )
            for number in range(1, blocks + 1)
        ]
        self.layers = nn.Sequential(
            *encoder_layers(in_channels, channels, 0, norm, antialias=False, dropout=0.0),
            *bottleneck,
            *decoder_layers(out_channels, channels, norm, antialias=False),
        )
        if init != "default":
            initialise(self, init, init_gain)
        count = min(1, len(transformers)) if share_transformers else len(transformers)
        self.transformers = nn.ModuleList(Transformer(hidden, depth, heads, mlp_ratio, dropout) for _ in range(count))
        for transformer in self.transformers:
            if pretrained:
                _load_pretrained(transformer, pretrained)

    @property
    def layer_count(self) -> int:
        return len(self.layers)

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        stop = self.layer_count if last is None else last + 1
        x = image
        features: dict[int, Tensor] = {}
        passed = 0  # transformers met so far
        for number, layer in enumerate(self.layers[:stop]):
            if isinstance(layer, ArtBlock) and layer.bridge is not None:
                x = layer(x, self.transformers[passed % len(self.transformers)])
                passed += 1
            else:
                x = layer(x)
            if number in layers:
                features[number] = x
        return x, features


def _check_transformers(transformers: tuple[int, ...], blocks: int, hidden: int, heads: int) -> None:
    wrong = [number for number in transformers if not 1 <= number <= blocks]
    if wrong:
        raise GantkError(
            f"there is no block {wrong[0]} to hold a transformer",
            where="Resvit",
            why=f"the blocks are counted from 1 to {blocks}",
            mend="name blocks in this range in transformers",
        )
    if transformers and hidden % heads:
        raise GantkError(
            f"{heads} heads do not divide a width of {hidden}",
            where="Resvit",
            mend="make hidden a multiple of heads",
        )


def _load_pretrained(transformer: Transformer, name: str) -> None:
    """Copy the blocks and the last norm of a timm transformer into a transformer."""
    import timm  # takes seconds

    create: Callable[..., Any] = timm.create_model
    try:
        with quiet_hub():
            weights = create(name, pretrained=True, num_classes=0).state_dict()
    except (OSError, RuntimeError, ValueError) as error:
        raise GantkError(
            f"the weights of {name!r} could not be loaded",
            where="Resvit",
            why=f"timm says: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            mend=f'set pretrained = "", or load them once on a machine with internet, '
            f"`timm.create_model({name!r}, pretrained=True)`, and copy the Hugging Face cache here",
        ) from error
    wanted = {key: value for key, value in weights.items() if key.startswith(("blocks.", "norm."))}
    try:
        transformer.load_state_dict(wanted)
    except RuntimeError as error:
        raise GantkError(
            f"the blocks of {name!r} do not fit",
            where="Resvit",
            why=str(error).splitlines()[-1].strip(),
            mend="set hidden, depth, heads and mlp_ratio as that network has them",
        ) from error
