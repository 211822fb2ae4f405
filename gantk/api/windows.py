"""Translation of large images in overlapping windows, blended by MONAI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gantk.data.batch import Group
from gantk.data.normalisation import BACKGROUND
from gantk.errors import UsageError
from gantk.recipe import Recipe
from gantk.recipe.inference import InferenceSettings

__all__ = ["Windows", "packed"]

Network = Callable[[Tensor], Tensor]
"""(B, C, *window) to (B, T, *window), float32."""


@dataclass(frozen=True)
class Windows:
    """How images are translated window by window.

    Attributes:
        size: sides of a window.
        settings: their overlap and how they are blended.
        device: where the network is.
    """

    size: tuple[int, ...]
    settings: InferenceSettings
    device: torch.device

    @classmethod
    def of(cls, recipe: Recipe, device: torch.device) -> Windows | None:
        """The windows of a recipe; None if images are translated whole."""
        return None if recipe.window is None else cls(recipe.window, recipe.inference, device)

    def count(self, sides: Sequence[int]) -> int:
        """The number of windows in an image of this size."""
        pairs = zip(sides, self.size, self._steps(sides), strict=True)
        return prod(max(0, -(-(side - window) // step)) + 1 for side, window, step in pairs)

    def __call__(
        self,
        network: Network,
        images: Tensor,
        *,
        fill: float | None = BACKGROUND,
        advance: Callable[[int], None] = lambda n: None,
    ) -> Tensor:
        """A network's output on images: in one pass if they are no larger than a window, else window by window.

        Args:
            network: receives windows, on its device.
            images: (B, C, *spatial) float32.
            fill: the padding of images that are smaller than a window; None repeats their outermost pixels.
            advance: told how many windows are done.

        Returns:
            (B, T, *spatial) float32, on the device where windows are combined.

        Raises:
            UsageError: MONAI is not installed.
        """
        gathered = torch.device("cpu") if self.settings.gather == "cpu" else self.device
        sides = images.shape[2:]
        lacking = [max(0, window - side) for window, side in zip(self.size, sides, strict=True)]
        if any(lacking):
            images = _padded(images, lacking, fill)

        def run(window: Tensor) -> Tensor:
            made = network(window)
            advance(len(window))
            return made

        if tuple(images.shape[2:]) == self.size:
            output = torch.cat([run(part.to(self.device)).to(gathered) for part in images.split(self.settings.batch)])
        else:
            output = (self._median if self.settings.blend == "median" else self._mean)(run, images, gathered)
        return output[_inner(slice(n // 2, n // 2 + side) for n, side in zip(lacking, sides, strict=True))]

    def _mean(self, network: Network, images: Tensor, gathered: torch.device) -> Tensor:
        # sums of many small weights: single precision would move a constant by more than 1e-6
        kind = torch.float32 if "mps" in (self.device.type, gathered.type) else torch.float64
        made: Tensor = _monai().inferers.SlidingWindowInferer(
            self.size,
            self.settings.batch,
            self.settings.overlap,
            mode=self.settings.blend,
            sw_device=self.device,
            device=gathered,
        )(images.to(gathered, kind), lambda window: network(window.float()).to(kind))
        return made.float()

    def _median(self, network: Network, images: Tensor, gathered: torch.device) -> Tensor:
        return torch.stack([self._median_of(network, image, gathered) for image in images])

    def _median_of(self, network: Network, image: Tensor, gathered: torch.device) -> Tensor:
        """The median of all windows at each pixel, (T, *spatial), computed slice by slice to save memory."""
        sides = image.shape[1:]
        places = _monai().data.utils.dense_patch_slices(sides, self.size, self._steps(sides))
        batches = (places[first : first + self.settings.batch] for first in range(0, len(places), self.settings.batch))
        parts = [
            part
            for some in batches
            for part in network(torch.stack([image[_inner(place)] for place in some]).to(self.device)).to(gathered)
        ]
        rows = []
        for row in range(sides[0]):
            over = [(place, part) for place, part in zip(places, parts, strict=True) if _holds(place[0], row)]
            values = np.full((len(over), len(parts[0]), *sides[1:]), np.nan, np.float32)
            for number, (place, part) in enumerate(over):
                values[number][_inner(place[1:])] = part[:, row - place[0].start].cpu().numpy()
            rows.append(torch.from_numpy(np.nanmedian(values, axis=0)))
        return torch.stack(rows, dim=1).to(gathered)

    def _steps(self, sides: Sequence[int]) -> tuple[int, ...]:
        """The distance between windows, as in MONAI."""
        return tuple(
            window if window >= side else max(1, int(window * (1 - self.settings.overlap)))
            for window, side in zip(self.size, sides, strict=True)
        )


def _inner(places: Iterable[slice | int]) -> Any:
    """The index of places along the last axes."""
    return (..., *places)


def _holds(place: slice, row: int) -> bool:
    return bool(place.start <= row < place.stop)


def _padded(images: Tensor, lacking: Sequence[int], fill: float | None) -> Tensor:
    """Images padded to the size of a window, in its middle."""
    sides = [part for lack in reversed(lacking) for part in (lack // 2, lack - lack // 2)]
    if fill is None:
        return F.pad(images, sides, mode="replicate")
    return F.pad(images, sides, value=fill)


def _monai() -> Any:
    try:
        import monai.data.utils
        import monai.inferers
    except ImportError as error:
        raise UsageError(
            "images larger than a window need MONAI, which is not installed",
            where="inference",
            why=error,
            mend="install it",
            command="pip install 'gantk[volumes]'",
        ) from error
    return monai


Packed = tuple[Tensor, Callable[[Tensor], Group]]


def packed(group: Group) -> Packed:
    """All data of a group as channels (B, K, *spatial), and a function that makes a group from a part of them.

    All channels are cut into the same windows. Values per image become constant planes; the padding is background, or
    the first category.
    """
    spatial = next(image for image in (group.source, group.target) if image is not None).shape[2:]
    tensors: dict[str, Tensor] = {
        name: tensor
        for name, tensor in (("source", group.source), ("target", group.target), ("segmentation", group.segmentation))
        if tensor is not None
    } | {f"extra/{name}": values for name, values in group.extra.items()}
    planes = {name: _planes(values, spatial) for name, values in tensors.items()}
    widths = [plane.shape[1] for plane in planes.values()]

    def unpacked(window: Tensor) -> Group:
        parts = dict(zip(planes, window.split(widths, dim=1), strict=True))
        found = {name: _values(part, tensors[name], name) for name, part in parts.items()}
        count = len(window)
        return replace(
            group,
            source=found.get("source"),
            target=found.get("target"),
            segmentation=found.get("segmentation"),
            extra={name: found[f"extra/{name}"] for name in group.extra},
            patients=group.patients[:1] * count,
            subjects=group.subjects[:1] * count,
            slices=group.slices[:1] * count,
        )

    return torch.cat(list(planes.values()), dim=1), unpacked


def _planes(values: Tensor, spatial: Sequence[int]) -> Tensor:
    whole = values.float()
    if whole.ndim > 1:
        return whole
    return whole.reshape(-1, 1, *[1] * len(spatial)).expand(-1, 1, *spatial)


def _values(part: Tensor, like: Tensor, name: str) -> Tensor:
    if like.ndim == 1:  # from the middle, which is never outside
        return part[_inner(side // 2 for side in part.shape[2:])][:, 0].to(like.dtype)
    return part if name in ("source", "target") else part.clamp(min=0).to(like.dtype)
