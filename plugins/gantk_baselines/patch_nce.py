"""Patchwise contrastive learning (CUT); with a weight map it is eq. 3 of DS³-Net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gantk import Count, Distinct, Fraction, GantkError, ImageRef, Needs, Positive, Sizes, View, Whole, to_device

__all__ = ["PatchHeads", "PatchNce"]


class PatchHeads(nn.Module):
    """One projection per layer, Linear–ReLU–Linear, followed by l2 normalization (Park et al., 2020).

    Maps features by layer, `(N, P, C)`, to `(N, P, width)` of unit length.

    Args:
        channels: the features' channels by layer.
        width: size of the projection.
    """

    def __init__(self, channels: Mapping[int, int], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {
                str(k): nn.Sequential(nn.Linear(c, width), nn.ReLU(), nn.Linear(width, width))
                for k, c in channels.items()
            }
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight, gain=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, features: Mapping[int, Tensor]) -> dict[int, Tensor]:
        projected = {layer: self._project(layer, feature) for layer, feature in features.items()}
        return {layer: z / (z.norm(dim=-1, keepdim=True) + 1e-7) for layer, z in projected.items()}

    def _project(self, layer: int, feature: Tensor) -> Tensor:
        z = self.layers[str(layer)](feature)
        return z.to(torch.promote_types(z.dtype, torch.float32))  # autocast: normalize in single precision


class PatchNce:
    """InfoNCE between patches of an image and of its translation at the same places.

    Per layer l and sampled place s: −m_l(s)·log[exp(q_s·k_s/τ) / Σ_t exp(q_s·k_t/τ)], negatives from the same image;
    mean over places and images (Park et al., 2020; with a weight map m DS³-Net, eq. 3). Places are drawn once per
    step, the same for image, translation and map, and for all images of the batch.

    If `image` is not the source, this loss is CUT's identity term: G must not change an image y that is already in the
    target domain. Two terms of this loss share their heads.

    Flip equivariance (FastCUT): in some steps, the patches of the image are taken from its mirror image, and each is
    compared with the translation's patch at the mirrored place. G(x) must therefore be the mirror image of G's output
    for the mirrored x. The published code passes the mirrored image to G and takes the patches of the unmirrored image.
    This is the same term for the mirrored x, and has the same distribution if images are mirrored with probability 1/2.
    Here, all other terms can use the same G(x).

    Args:
        layers: generator layers whose features are compared.
        patches: places per layer; all places if a layer has fewer.
        temperature: τ, the temperature of the contrastive loss.
        width: size of the projections.
        query: the image whose patches are the queries; the other's patches are the keys, positive and negative.
        detach_keys: whether the keys have no gradient in this term.
        over_layers: sum (DS³-Net, eq. 3) or mean (CUT) over the layers.
        reenter: how an image with fewer channels than the source enters the generator: as every input, or as the
            first input.
        image: the image that is translated and compared with its translation.
        flip_equivariance: probability, per step, that the image's patches are taken from its mirror image.
    """

    shared = "patch_nce"

    def __init__(
        self,
        layers: Distinct[Whole] = (0, 4, 8, 12, 16),
        patches: Annotated[int, Field(ge=2)] = 256,
        temperature: Positive = 0.07,
        width: Count = 256,
        query: Literal["output", "source"] = "output",
        detach_keys: bool = True,
        over_layers: Literal["sum", "mean"] = "mean",
        reenter: Literal["repeat", "first"] = "repeat",
        image: ImageRef = ImageRef("source"),
        flip_equivariance: Fraction = 0.0,
    ) -> None:
        self.needs = Needs(layers=layers, image=image)
        self.layers = layers
        self.patches = patches
        self.temperature = temperature
        self.width = width
        self.query = query
        self.detach_keys = detach_keys
        self.over_layers = over_layers
        self.reenter = reenter
        self.image = image
        self.flip_equivariance = flip_equivariance

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"generator": PatchHeads(sizes.features, self.width)}

    def __call__(self, view: View) -> Tensor:
        image = view.as_source(view.image(self.image), self.reenter)
        if view.weight is not None and image is not view.source:
            raise GantkError(
                f"a weight map of the source cannot be used for a contrastive term on {self.image!r}",
                mend="remove the term's map or its parameter image",
            )
        output = view.as_source(view.translate(image), self.reenter)
        mirrored = self.flip_equivariance > 0 and torch.rand(()).item() < self.flip_equivariance
        asked = _mirrored(view, image) if mirrored else image
        keep = self.query == "source" or not self.detach_keys  # else nothing is learned through the image's features
        theirs = view.features(asked, layers=self.layers, grad=keep)
        ours = view.features(output, layers=self.layers)
        places = {layer: self._places(feature) for layer, feature in theirs.items()}
        here = {k: _mirror(s, theirs[k].shape[-1]) for k, s in places.items()} if mirrored else places
        patches = {"source": _sample(theirs, places), "output": _sample(ours, here)}
        q = view.project(patches[self.query])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.detach_keys):
            k = view.project(patches["source" if self.query == "output" else "output"])
        total = torch.stack([self._layer(q[i], k[i], self._weight(view, ours[i], here[i])) for i in self.layers])
        return total.sum() if self.over_layers == "sum" else total.mean()

    def _places(self, feature: Tensor) -> Tensor:
        count = feature.shape[2:].numel()
        return to_device(torch.randperm(count)[: self.patches], feature.device)

    @staticmethod
    def _weight(view: View, feature: Tensor, places: Tensor) -> Tensor | None:
        weight = view.weight_like(feature)
        return None if weight is None else weight.flatten(1).index_select(1, places)

    def _layer(self, q: Tensor, k: Tensor, weight: Tensor | None) -> Tensor:
        logits = torch.bmm(q, k.transpose(1, 2)) / self.temperature  # (N, P, P), the positive on the diagonal
        labels = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
        return loss.mean() if weight is None else (weight * loss).mean()


def _sample(features: Mapping[int, Tensor], places: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Features `(N, C, …)` at the places, `(N, P, C)`; index_select keeps the memory layout of the gradients."""
    return {k: f.flatten(2).index_select(2, places[k]).transpose(1, 2) for k, f in features.items()}


def _mirrored(view: View, image: Tensor) -> Tensor:
    """An image mirrored left to right; of the source, with the inputs beside it."""
    if image is view.source:
        return view.mirrored().source
    return view.derive("mirrored", image, lambda x: x.flip(-1))


def _mirror(places: Tensor, width: int) -> Tensor:
    """The places `(P,)` after mirroring a map of this width left to right; places are numbered row by row."""
    return places + width - 1 - 2 * (places % width)
