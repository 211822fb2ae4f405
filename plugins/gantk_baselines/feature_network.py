"""Frozen feature networks for losses: VGG or any convolutional network of timm, with named layers."""

from __future__ import annotations

import difflib
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal
from weakref import WeakValueDictionary

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gantk import GantkError, RecipeError, View, nearest
from gantk_baselines.pretrained import quiet_hub

__all__ = ["FeatureNetwork", "Weights"]

Weights = Literal["pretrained", "random"] | Path


class FeatureNetwork(nn.Module):
    """A frozen network of timm and its features by layer name: (B, T, H, W) float in [−1, 1] to (S·B, C, h, w).

    VGG networks name their layers as the literature does, convI_J, reluI_J and poolI: the J-th convolution of block I,
    the activation after it, and the end of the block. Other networks use timm's names (`feature_info`). Only the layers
    up to the deepest requested layer are run.

    Three channels are red, green and blue; a single channel is repeated to three; with any other number, each channel
    is a separate image (S = T). Losses with the same network share it and its forward passes, one per image and step.
    It belongs to no translator, so it is in no optimizer and no checkpoint.

    Args:
        network: vgg11 to vgg19, their `_bn` variants, or another convolutional network of timm.
        weights: "pretrained" for timm's (downloaded once by timm); a file, safetensors or a torch state dict in timm's
            or torchvision's naming (read without executing code); "random" for He-initialised weights from a fixed
            seed, which need no download. Random features keep local structure but encode nothing about natural images;
            results in the literature were obtained with pretrained features.
        imagenet_normalisation: bring images to [0, 1], then subtract ImageNet's mean and divide by its standard
            deviation, as the weights were trained; False leaves images unchanged.

    Raises:
        RecipeError: timm has no such network, or it cannot be used here.
        GantkError: the weights could not be loaded.
    """

    mean: Tensor
    std: Tensor
    _alive: ClassVar[WeakValueDictionary[tuple[str, str, bool], FeatureNetwork]] = WeakValueDictionary()

    def __init__(
        self, network: str = "vgg16", weights: Weights = "pretrained", imagenet_normalisation: bool = True
    ) -> None:
        from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD  # takes seconds

        super().__init__()
        self.key = (network, str(weights), imagenet_normalisation)
        self.where = f"feature network {network!r}"
        self.imagenet_normalisation = imagenet_normalisation
        self.body = _body(network, weights, self.where)
        self.body.requires_grad_(False).eval()
        self.names = list(_names(self.body))
        self._last = -1  # the deepest layer that anyone wants
        self._wanted: set[str] = set()
        self.register_buffer("mean", torch.tensor(IMAGENET_DEFAULT_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_DEFAULT_STD).reshape(1, 3, 1, 1))

    @classmethod
    def shared(cls, network: str, weights: Weights, imagenet_normalisation: bool) -> FeatureNetwork:
        """The network with this description; an existing one is reused, so that losses share it."""
        key = (network, str(weights), imagenet_normalisation)
        found = cls._alive.get(key)
        if found is None:
            found = cls._alive[key] = cls(network, weights, imagenet_normalisation)
        return found

    def want(self, layers: Iterable[str]) -> None:
        """Request the features of these layers in every pass.

        Raises:
            RecipeError: the network has no such layer.
        """
        for name in layers:
            if name not in self.names:
                raise RecipeError(f"there is no layer {name!r}", where=self.where, mend=nearest(name, self.names))
            self._wanted.add(name)
            self._last = max(self._last, self.names.index(name))

    def of(self, view: View, image: Tensor) -> dict[str, Tensor]:
        """An image's features, at least single precision, computed once per step in the step's precision."""

        def run(image: Tensor) -> dict[str, Tensor]:
            with view.step.autocast():
                features = self(image)
            return {k: v.to(torch.promote_types(v.dtype, torch.float32)) for k, v in features.items()}

        return view.derive("/".join(map(str, self.key)), image, run)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """The features of the requested layers by name, (S·B, C, h, w).

        Raises:
            GantkError: the image is too small for the deepest of these layers.
        """
        if self.mean.device != image.device or self.mean.dtype != image.dtype:
            self.to(image.device, image.dtype)  # no translator holds the network, so nothing else moves it
        x = _as_rgb(image)
        if self.imagenet_normalisation:
            x = ((x + 1) / 2 - self.mean) / self.std
        if not isinstance(self.body, nn.Sequential):
            wanted = [i for i, name in enumerate(self.names) if name in self._wanted]
            found = self.body.forward_intermediates(x, wanted, stop_early=True, intermediates_only=True)
            return dict(zip((self.names[i] for i in wanted), found, strict=True))
        least = 2 ** sum(name.startswith("pool") for name in self.names[: self._last + 1])
        if min(x.shape[-2:]) < least:
            raise GantkError(
                f"images of {x.shape[-2]}×{x.shape[-1]} pixels are too small for {self.names[self._last]}",
                where=self.where,
                mend=f"make height and width at least {least}, or take an earlier layer",
            )
        features: dict[str, Tensor] = {}
        for name, layer in zip(self.names[: self._last + 1], self.body, strict=False):
            x = layer(x)
            if name in self._wanted:
                features[name] = x
        return features


def _as_rgb(image: Tensor) -> Tensor:
    """Three channels, (S·B, 3, H, W)."""
    if image.shape[1] == 3:
        return image
    return image.transpose(0, 1).reshape(-1, 1, *image.shape[-2:]).expand(-1, 3, -1, -1)


def _names(body: nn.Module) -> Iterator[str]:
    """The names of a network's layers, in execution order."""
    if not isinstance(body, nn.Sequential):
        yield from (stage["module"] for stage in body.feature_info)
        return
    block, convolution = 1, 0
    for layer in body:
        if isinstance(layer, nn.MaxPool2d):
            yield f"pool{block}"
            block, convolution = block + 1, 0
            continue
        convolution += isinstance(layer, nn.Conv2d)
        kind = {nn.Conv2d: "conv", nn.ReLU: "relu"}.get(type(layer), "norm")
        yield f"{kind}{block}_{convolution}"


def _body(network: str, weights: Weights, where: str) -> nn.Module:
    """The layers of a VGG as a sequence, another network as timm builds it, with its weights."""
    from timm.models import VGG  # takes seconds

    with torch.random.fork_rng(devices=[]):
        model = _model(network, weights == "pretrained", where)
    if isinstance(model, VGG):
        body = model.features  # the classifier, nine tenths of the weights, is dropped
        for layer in body:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # what lies before an activation may be asked for too
        if weights != "pretrained":
            body.to_empty(device="cpu")
    elif model.pretrained_cfg.get("fixed_input_size") or not hasattr(model, "forward_intermediates"):
        raise RecipeError(
            f"{network!r} accepts only one image size, or provides no features",
            where=where,
            mend="choose a convolutional network, such as vgg16, vgg19 or resnet18",
        )
    else:
        body = model
    if weights == "random":
        _draw(body)
    elif isinstance(weights, Path):
        _load(body, weights, where, "features." if isinstance(model, VGG) else "")
    return body


def _model(network: str, pretrained: bool, where: str) -> nn.Module:
    """timm's model; a VGG that gets other weights is built on the meta device, so its classifier is never allocated."""
    import timm  # takes seconds

    if not timm.is_model(network):
        near = ", ".join(difflib.get_close_matches(network, timm.list_models(), n=3))
        raise RecipeError(
            f"timm has no network {network!r}",
            where=where,
            why=f"the nearest names are {near}" if near else None,
            mend="choose vgg16, vgg19 or another of `timm.list_models()`",
        )
    if not pretrained:
        with torch.device("meta" if network.startswith("vgg") else "cpu"):
            return timm.create_model(network)
    try:
        with quiet_hub():
            return timm.create_model(network, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise GantkError(
            "the pretrained weights could not be loaded",
            where=where,
            why=f"timm says: {_reason(error)}",
            mend=f"run `timm.create_model({network!r}, pretrained=True)` on a machine with internet, "
            "and copy its Hugging Face cache here; or set weights to the path of a file (safetensors, or torchvision's "
            '.pth), or set weights = "random", which needs no download but differs from the published method',
        ) from error


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _draw(body: nn.Module, seed: int = 0) -> None:
    """He's initialization, N(0, 2 / fan-in), from a fixed seed; norms keep their initial values (He et al., 2015)."""
    generator = torch.Generator().manual_seed(seed)
    for layer in body.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()


def _load(body: nn.Module, path: Path, where: str, prefix: str) -> None:
    """Load weights from a file; additional entries, such as a classifier, are ignored."""
    mend = "use a safetensors file, or a state dict saved by torch.save, with the weights of this network"
    try:
        if path.suffix == ".safetensors":
            stored: Mapping[str, Tensor] = load_file(path)
        else:
            stored = torch.load(path, map_location="cpu", weights_only=True)
        # the counter of batches, which nothing here reads, is missing from old files
        found = {name: stored[prefix + name] for name in body.state_dict() if "num_batches" not in name}
        body.load_state_dict(found, strict=False)
    except FileNotFoundError:
        raise GantkError(
            f"there is no file {path}", where=where, mend='set weights to "pretrained", "random" or the path of a file'
        ) from None
    except KeyError as error:
        raise GantkError(f"{path} holds no {error.args[0]}", where=where, mend=mend) from None
    except (OSError, RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise GantkError(f"{path} cannot be used", where=where, why=_reason(error), mend=mend) from error
