"""LPIPS: distance between deep features, inside a region."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gantk.errors import GantkError
from gantk.evaluation.features import Weights, draw, to_colour
from gantk.evaluation.metrics import weighted_mean

if TYPE_CHECKING:
    from torchmetrics.functional.image.lpips import _NoTrainLpips

__all__ = ["Lpips"]

SMALLEST = 64  # pixels; smaller images are too small for AlexNet's last layers
_BACKBONES = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


class Lpips:
    """Learned perceptual image patch similarity (Zhang et al. 2018), version 0.1; needs a network's weights.

    Over the whole image it equals torchmetrics' value. In a region, each layer's distances are averaged with the region
    resized to the layer's size, each pixel weighted by the fraction of it that lies inside; the value also depends on
    pixels outside the region, as far as the layers' receptive fields reach. Three channels are one color image,
    otherwise each channel is a gray image; images with a side below 64 pixels are enlarged.

    Args:
        net: "alex", "vgg" or "squeeze".
        weights: "pretrained" for torchvision's weights, downloaded once; a file with these weights; or "random", which
            needs no download and is not comparable with LPIPS.
        dimensions: number of spatial dimensions; only 2 (slices).

    Raises:
        GantkError: the weights could not be loaded.
    """

    higher_is_better = False

    def __init__(
        self,
        net: Literal["alex", "vgg", "squeeze"] = "alex",
        weights: Weights = "pretrained",
        dimensions: Literal[2] = 2,
    ) -> None:
        self.net = net
        self.weights = weights
        self.title = "LPIPS (random network)" if weights == "random" else "LPIPS"
        _network(net, weights)  # fail before training if the weights are missing

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, H, W), (B, T, H, W) in [0, 1], (B, 1, H, W) bool → (B,), at least 0."""
        from torchmetrics.functional.image.lpips import _normalize_tensor  # takes seconds

        network = _network(self.net, self.weights).to(prediction.device)
        small = min(target.shape[-2:])
        size = [max(SMALLEST, side * SMALLEST // small) if small < SMALLEST else side for side in target.shape[-2:]]
        images, channels = to_colour(torch.cat([prediction, target]).clamp(0, 1))
        images = images if small >= SMALLEST else F.interpolate(images, size, mode="bilinear")
        weight = mask.to(target.dtype).repeat_interleave(channels, 0)
        total = torch.zeros(len(weight), dtype=target.dtype, device=target.device)
        with torch.no_grad():
            for layer, features in zip(network.lins, network.net(network.scaling_layer(2 * images - 1)), strict=True):
                one, other = _normalize_tensor(features).chunk(2)
                distance = layer((one - other).square())
                total = total + weighted_mean(distance, F.adaptive_avg_pool2d(weight, distance.shape[-2:]))
        return total.view(len(mask), channels).mean(dim=1)


@lru_cache(maxsize=4)
def _network(net: Literal["alex", "vgg", "squeeze"], weights: Weights) -> _NoTrainLpips:
    from torchmetrics.functional.image.lpips import _NoTrainLpips  # there is no public API without a download

    where = "metric lpips"
    if weights == "pretrained":
        try:
            return _NoTrainLpips(net=net)
        except (OSError, RuntimeError) as error:
            raise GantkError(
                f"LPIPS needs the weights of torchvision's {_BACKBONES[net]}, which could not be loaded",
                where=where,
                why=str(error).splitlines()[0] if str(error) else type(error).__name__,
                mend=f"run `torchvision.models.{_BACKBONES[net]}(weights='DEFAULT')` on a machine with internet, "
                'copy the file here and set weights = "path/to/the.pth"; weights = "random" needs no download but does '
                "not give LPIPS",
            ) from None
    network = _NoTrainLpips(net=net, pnet_rand=True)  # the layers' weights come with torchmetrics
    if weights == "random":
        draw(network.net)
    else:
        _load(network, weights, where)
    return network


def _load(network: _NoTrainLpips, path: Path, where: str) -> None:
    """Load torchvision's weights into torchmetrics' slices, which keep torchvision's layer numbers."""
    names = {name: "features." + re.sub(r"^slices?\.?\d+\.", "", name) for name in network.net.state_dict()}
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        network.net.load_state_dict({name: stored[other] for name, other in names.items()})
    except Exception as error:  # an invalid file can fail in many ways
        raise GantkError(
            "the file does not contain the weights of torchvision's network",
            where=f"{where}: {path}",
            # torch's own message would suggest loading a file that may execute code
            why=None if isinstance(error, UnpicklingError) else f"{type(error).__name__}: {error}".splitlines()[0],
            mend='set weights to "pretrained", "random" or the path of a torchvision file (.pth)',
        ) from None
