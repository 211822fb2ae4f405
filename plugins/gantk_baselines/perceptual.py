"""Losses between features: of a frozen network (perceptual, style, content) and of the discriminator.

Frozen networks work on pictures only: for volumes, they receive some slices, which are drawn anew in every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from gantk import Count, Distinct, ImageRef, Needs, NonNegative, RecipeError, View, Whole
from gantk_baselines.feature_network import FeatureNetwork, Weights
from gantk_baselines.slicewise import of_slices

__all__ = ["Content", "DiscriminatorFeatures", "Perceptual", "Style", "gram"]


def gram(feature: Tensor, weight: Tensor | None = None) -> Tensor:
    """The Gram matrix G_ij = Σ_s m_s·f_is·f_js / (C·h·w) over places s: (B, C, h, w) to (B, C, C).

    Args:
        feature: f.
        weight: m, (B, 1, h, w); default: 1.
    """
    channels, places = feature.shape[1], feature.shape[2:].numel()
    f = feature.flatten(2)
    weighted = f if weight is None else f * weight.flatten(2)
    return weighted @ f.transpose(1, 2) / (channels * places)


def _layer_weights(weights: tuple[float, ...], layers: tuple[object, ...]) -> tuple[float, ...]:
    """One weight per layer; 1 for all by default."""
    if weights and len(weights) != len(layers):
        raise RecipeError(
            f"{len(weights)} layer weights are given for {len(layers)} layers",
            where="layer_weights",
            mend="give one weight per layer, or none to use 1 for all layers",
        )
    return weights or (1.0,) * len(layers)


class _FeatureLoss:
    """A loss between the frozen network's features of the output and of a reference image."""

    def __init__(
        self,
        layers: tuple[str, ...],
        layer_weights: tuple[float, ...],
        network: str,
        weights: Weights,
        imagenet_normalisation: bool,
        reference: ImageRef,
        slices: int,
    ) -> None:
        self.slices = slices
        self.layers = layers
        self.layer_weights = _layer_weights(layer_weights, layers)
        self.reference = reference
        self.network = FeatureNetwork.shared(network, weights, imagenet_normalisation)
        self.network.want(layers)

    def pairs(self, view: View) -> Iterator[tuple[float, Tensor, Tensor]]:
        """The weight, the output's feature and the reference's feature (without gradient) of each layer."""
        output = self.network.of(view, of_slices(view, view.output, self.slices))
        reference = self.network.of(view, of_slices(view, view.image(self.reference), self.slices))
        for weight, layer in zip(self.layer_weights, self.layers, strict=True):
            yield weight, output[layer], reference[layer].detach()

    def map_like(self, view: View, feature: Tensor) -> Tensor | None:
        """The term's weight map of the selected slices, resized to a feature's size and repeated for its streams."""
        if view.weight is None or view.weight.ndim == 4:
            return view.weight_like(feature)
        shown = F.interpolate(of_slices(view, view.weight, self.slices), feature.shape[2:], mode="area")
        return shown.repeat(len(feature) // len(shown), 1, 1, 1)


class Perceptual(_FeatureLoss):
    """Distance of the output to the target in a frozen network: Σ_l λ_l · mean of m·|φ_l(y) − φ_l(G(x))|.

    The term's weight map m is resized to each layer's size (Johnson et al., ECCV 2016; pGAN: Dar et al., 2019).

    Args:
        layers: layers of the network, such as relu2_2.
        layer_weights: λ_l; default: 1.
        distance: l1, as in pGAN, or l2 (the square), as in Johnson et al.
        network: the frozen network, a timm model name.
        weights: "pretrained", "random" (a fixed seed, no download; differs from the published method), or a file.
        imagenet_normalisation: normalize as the weights were trained; pGAN passes images in [−1, 1] unchanged.
        reference: y, the image with which the output is compared.
        slices: number of slices of each volume that the network receives.
    """

    def __init__(
        self,
        layers: Distinct[str] = ("relu2_2",),
        layer_weights: tuple[NonNegative, ...] = (),
        distance: Literal["l1", "l2"] = "l1",
        network: str = "vgg16",
        weights: Weights = "pretrained",
        imagenet_normalisation: bool = True,
        reference: ImageRef = ImageRef("target"),
        slices: Count = 8,
    ) -> None:
        super().__init__(layers, layer_weights, network, weights, imagenet_normalisation, reference, slices)
        self.distance = distance

    def __call__(self, view: View) -> Tensor:
        distance = Tensor.abs if self.distance == "l1" else Tensor.square
        total = view.output.new_zeros(())
        for weight, output, y in self.pairs(view):
            error, m = distance(y - output), self.map_like(view, output)
            total = total + weight * (error if m is None else m * error).mean()
        return total


class Content(Perceptual):
    """Content in a frozen network: Σ_l λ_l · ‖φ_l(y) − φ_l(G(x))‖²_F / (C_l·h_l·w_l), mean over the batch.

    Gatys et al., CVPR 2016; MedGAN: Armanious et al., 2020, with a VGG-19. It is the perceptual loss with squares.

    Args:
        layers: layers of the network.
        layer_weights: λ_l; default: 1.
        network: the frozen network, a timm model name.
        weights: "pretrained", "random" (a fixed seed, no download; differs from the published method), or a file.
        imagenet_normalisation: normalize as the weights were trained.
        reference: y, the image with which the output is compared.
        slices: number of slices of each volume that the network receives.
    """

    def __init__(
        self,
        layers: Distinct[str] = ("relu4_2",),
        layer_weights: tuple[NonNegative, ...] = (),
        network: str = "vgg19",
        weights: Weights = "pretrained",
        imagenet_normalisation: bool = True,
        reference: ImageRef = ImageRef("target"),
        slices: Count = 8,
    ) -> None:
        super().__init__(layers, layer_weights, "l2", network, weights, imagenet_normalisation, reference, slices)


class Style(_FeatureLoss):
    """Style in a frozen network: Σ_l λ_l · ‖Gram_l(y) − Gram_l(G(x))‖²_F / (4·C_l²), mean over the batch.

    Gram_l is the matrix of the channels' products, divided by C_l·h_l·w_l; the term's weight map weights each place
    (Gatys et al., CVPR 2016; MedGAN: Armanious et al., 2020, with a VGG-19).

    Args:
        layers: layers of the network.
        layer_weights: λ_l; default: 1.
        network: the frozen network, a timm model name.
        weights: "pretrained", "random" (a fixed seed, no download; differs from the published method), or a file.
        imagenet_normalisation: normalize as the weights were trained.
        reference: y, the image with which the output is compared.
        slices: number of slices of each volume that the network receives.
    """

    def __init__(
        self,
        layers: Distinct[str] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        layer_weights: tuple[NonNegative, ...] = (),
        network: str = "vgg19",
        weights: Weights = "pretrained",
        imagenet_normalisation: bool = True,
        reference: ImageRef = ImageRef("target"),
        slices: Count = 8,
    ) -> None:
        super().__init__(layers, layer_weights, network, weights, imagenet_normalisation, reference, slices)

    def __call__(self, view: View) -> Tensor:
        total = view.output.new_zeros(())
        for weight, output, y in self.pairs(view):
            m = self.map_like(view, output)
            difference = (gram(y, m) - gram(output, m)).square().sum(dim=(1, 2)).mean()
            total = total + weight * difference / (4 * output.shape[1] ** 2)
        return total


class DiscriminatorFeatures:
    """Distance to the target in the discriminator: Σ_l λ_l · mean of m·|D_l(x, y) − D_l(x, G(x))|.

    The feature network is the discriminator, which is trained with the generator. This term trains only the generator.
    It is MedGAN's perceptual term (Armanious et al., 2020) and pix2pixHD's feature matching (Wang et al., CVPR 2018).
    It uses the adversarial term's forward pass of the discriminator on the output.

    Args:
        layers: layers of the discriminator; default: the PatchGAN's activations.
        layer_weights: λ_l; default: 1.
    """

    def __init__(self, layers: Distinct[Whole] = (1, 4, 7, 10), layer_weights: tuple[NonNegative, ...] = ()) -> None:
        self.needs = Needs(target=True, judged=layers)
        self.layers = layers
        self.layer_weights = _layer_weights(layer_weights, layers)

    def __call__(self, view: View) -> Tensor:
        output = view.judge_features(layers=self.layers)
        target = view.judge_features(view.target, layers=self.layers)
        total = view.output.new_zeros(())
        for weight, layer in zip(self.layer_weights, self.layers, strict=True):
            total = total + weight * view.weighted_mean((target[layer].detach() - output[layer]).abs())
        return total
