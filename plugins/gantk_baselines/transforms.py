"""Transforms of training batches of slices or volumes: flips, crops, poses and intensities; pairs stay aligned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

import torch
from kornia.enhance import adjust_brightness_accumulative, adjust_contrast_with_mean_subtraction
from kornia.geometry.transform import get_affine_matrix2d, get_affine_matrix3d, hflip, warp_affine, warp_affine3d
from pydantic import Field
from torch import Tensor
from torch.nn.functional import interpolate

from gantk import Fraction, Group, Moment
from gantk_baselines.dimensional import beside, resampled

Share = Annotated[float, Field(ge=0, lt=1)]

BACKGROUND = -1.0
DARKEST = BACKGROUND + 2 / 65535  # other pixels stay above it
# all draws are on the CPU, so that a seed means the same on every device


class Flip:
    """Mirrors slices left to right, source, target and segmentation alike.

    Args:
        probability: that a slice is mirrored.
    """

    def __init__(self, probability: Fraction = 0.5) -> None:
        self.probability = probability

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group with some slices mirrored; values and shapes are unchanged."""
        chosen = torch.rand(len(group)) < self.probability

        def mirrored(images: Tensor) -> Tensor:
            return torch.where(beside(chosen, images).to(images.device), hflip(images), images)

        return _everywhere(group, mirrored, mirrored)


class ResizeAndCrop:
    """Enlarges slices and crops them to their own size at a random place, the same in source, target and segmentation.

    Images are interpolated bilinearly, labels and categories by the nearest pixel. A pixel is background if the nearest
    pixel was.

    Args:
        scale: factor on all sides, at least 1; pix2pix and CycleGAN enlarge 256 to 286.
    """

    def __init__(self, scale: Annotated[float, Field(ge=1, le=8)] = 286 / 256) -> None:
        self.scale = scale

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group at the same size, with a separate random place for each slice."""
        own = _size(group)
        size = tuple(round(side * self.scale) for side in own)
        starts = [torch.randint(large - side + 1, (len(group),)) for large, side in zip(size, own, strict=True)]
        windows = [
            tuple(slice(start, start + side) for start, side in zip(corner, own, strict=True))
            for corner in torch.stack(starts, dim=1).tolist()
        ]

        def cut(images: Tensor) -> Tensor:
            return torch.stack([image[:, *window] for image, window in zip(images, windows, strict=True)])

        def labels(images: Tensor) -> Tensor:
            return cut(resampled(images.float(), size, "nearest").to(images.dtype))

        def picture(images: Tensor) -> Tensor:
            larger = resampled(images, size, "linear")
            inside = resampled((images > BACKGROUND).to(images.dtype), size, "nearest") > 0
            return cut(torch.where(inside, larger, BACKGROUND))

        return _everywhere(group, picture, labels)


class Jitter:
    """Changes brightness and contrast, by the same factors in source and target; meant for natural images.

    With u in [0, 1] for [-1, 1]: u ← b·u, then u ← c·u + (1 − c)·mean(u), both clipped to [0, 1], where b is uniform in
    [1 − brightness, 1 + brightness] and c in [1 − contrast, 1 + contrast]. Background stays unchanged and is part of
    the mean.

    Args:
        brightness: greatest relative change.
        contrast: greatest relative change.
    """

    def __init__(self, brightness: Share = 0.2, contrast: Share = 0.2) -> None:
        self.brightness, self.contrast = brightness, contrast

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group with changed intensities; values above -1 stay above -1."""
        bright = 1 + self.brightness * (2 * torch.rand(len(group)) - 1)
        contrast = 1 + self.contrast * (2 * torch.rand(len(group)) - 1)

        def changed(images: Tensor) -> Tensor:
            unit = (images + 1) / 2 if images.ndim == 4 else ((images + 1) / 2).flatten(2, 3)
            unit = adjust_brightness_accumulative(unit, bright.to(images))
            unit = adjust_contrast_with_mean_subtraction(unit, contrast.to(images))
            return torch.where(images > BACKGROUND, (2 * unit - 1).clamp(min=DARKEST).view_as(images), images)

        return _everywhere(group, changed, lambda labels: labels)


class InputJitter:
    """Changes each input as a different scanner or coil would: v·u^γ·exp(b) + n with u in [0, 1].

    Gain v, exponent γ, the smooth field b and the noise n are drawn for each slice and modality; the neighboring slices
    of a slice share its v, γ and b. Target, segmentation and inputs that hold categories stay unchanged. Background
    stays background, and the foreground stays above it.

    Args:
        gain: standard deviation of log v.
        gamma: standard deviation of log γ.
        bias: standard deviation of b on a grid of 4 × 4 (× 4) points, with cubic interpolation along each axis.
        noise: standard deviation of n, on the scale of u.
    """

    def __init__(self, gain: Share = 0.1, gamma: Share = 0.1, bias: Share = 0.08, noise: Share = 0.02) -> None:
        self.gain, self.gamma, self.bias, self.noise = gain, gamma, bias, noise

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group with changed intensities of its source; a group without source stays unchanged."""
        source = group.source
        if source is None:
            return group
        batch, channels, *size = source.shape
        modalities = channels if group.own is None else len(group.own)
        planes = channels // modalities  # a slice and its neighbors
        gain, gamma = (beside(drawn, source) for drawn in torch.randn(2, batch, modalities))
        bias = _cubic(torch.randn(batch, modalities, *[4] * len(size)), size)

        def spread(drawn: Tensor) -> Tensor:
            return drawn.repeat_interleave(planes, dim=1).to(source)

        factor = spread((self.gain * gain + self.bias * bias).exp())
        unit = factor * ((source + 1) / 2).clamp(min=0) ** spread((self.gamma * gamma).exp())
        unit = unit + self.noise * torch.randn(source.shape).to(source)
        jittered = (source > BACKGROUND) & ~group.named
        return replace(group, source=torch.where(jittered, (2 * unit - 1).clamp(DARKEST, 1), source))


class Affine:
    """Rotates, scales and shifts slices, the same in source, target and segmentation: other poses and head sizes.

    Images are interpolated linearly, labels and categories by the nearest pixel. A pixel is background if the nearest
    pixel was.

    Args:
        degrees: largest rotation to either side; for volumes, in the plane of slices.
        scale: largest relative change of size.
        shift: largest shift, as a fraction of each side.
        probability: probability that a slice is changed.
        tilt: for volumes, largest rotation in degrees out of the plane of slices, about each axis of the plane.
    """

    def __init__(
        self,
        degrees: Annotated[float, Field(ge=0, le=180)] = 10.0,
        scale: Share = 0.1,
        shift: Share = 0.05,
        probability: Fraction = 1.0,
        tilt: Annotated[float, Field(ge=0, le=180)] = 0.0,
    ) -> None:
        self.degrees, self.scale, self.shift, self.probability = degrees, scale, shift, probability
        self.tilt = tilt

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group at the same size, with a separate random pose for each slice."""
        size = _size(group)
        warp = self._of_slices(len(group), size) if len(size) == 2 else self._of_volumes(len(group), size)

        def labels(images: Tensor) -> Tensor:
            return warp(images.float(), "nearest").to(images.dtype)

        def picture(images: Tensor) -> Tensor:
            inside = warp((images > BACKGROUND).to(images.dtype), "nearest") > 0
            turned = (warp(images - BACKGROUND, "bilinear") + BACKGROUND).clamp(min=DARKEST)
            return torch.where(inside, turned, BACKGROUND)

        return _everywhere(group, picture, labels)

    def _draws(self, number: int, batch: int) -> Tensor:
        """Random numbers in [-1, 1], 0 for slices that are not changed."""
        draws = 2 * torch.rand(number, batch) - 1
        draws[:, torch.rand(batch) >= self.probability] = 0
        return draws

    def _of_slices(self, batch: int, size: tuple[int, ...]) -> Callable[[Tensor, str], Tensor]:
        height, width = size
        angle, zoom, down, right = self._draws(4, batch)
        centre = torch.tensor([(width - 1) / 2, (height - 1) / 2]).expand(batch, 2)
        scale = (1 + self.scale * zoom)[:, None].expand(-1, 2)
        shift = self.shift * torch.stack([right * width, down * height], dim=1)
        matrix = get_affine_matrix2d(shift, centre, scale, self.degrees * angle)[:, :2]

        def warp(images: Tensor, mode: str) -> Tensor:
            return warp_affine(images, matrix.to(images), (height, width), mode=mode, align_corners=True)

        return warp

    def _of_volumes(self, batch: int, size: tuple[int, ...]) -> Callable[[Tensor, str], Tensor]:
        sides = torch.tensor(size[::-1], dtype=torch.float32)  # along x, y, z
        draws = self._draws(7, batch)
        # kornia turns volumes the other way round than slices
        turns = -(draws[:3] * torch.tensor([self.tilt, self.tilt, self.degrees])[:, None]).T
        scale = (1 + self.scale * draws[3])[:, None].expand(-1, 3)
        shift = self.shift * draws[4:].T * sides
        matrix = get_affine_matrix3d(shift, ((sides - 1) / 2).expand(batch, 3), scale, turns)[:, :3]

        def warp(images: Tensor, mode: str) -> Tensor:
            return warp_affine3d(images, matrix.to(images), size, flags=mode, align_corners=True)

        return warp


def _cubic(grid: Tensor, size: Sequence[int]) -> Tensor:
    """Values on a coarse grid (B, C, *grid), interpolated cubically along each axis to (B, C, *size)."""
    plane = tuple(size[-2:])
    if grid.ndim == 4:
        return interpolate(grid, plane, mode="bicubic", align_corners=False)
    fine = interpolate(grid.flatten(0, 1), plane, mode="bicubic", align_corners=False).flatten(2)
    fine = interpolate(fine[:, None], (size[0], fine.shape[-1]), mode="bicubic", align_corners=False)
    return fine.reshape(*grid.shape[:2], *size)


def _everywhere(group: Group, images: Callable[[Tensor], Tensor], labels: Callable[[Tensor], Tensor]) -> Group:
    """The group with changed images and labels; categories, also those in the source, are changed like labels."""
    source = group.source
    if source is not None:
        changed = images(source)
        if group.categories:
            named = torch.where(labels(source > BACKGROUND), labels(source), BACKGROUND)
            changed = torch.where(group.named, named, changed)
        source = changed
    return replace(
        group,
        source=source,
        target=None if group.target is None else images(group.target),
        segmentation=None if group.segmentation is None else labels(group.segmentation),
        extra={name: labels(values) if values.ndim > 1 else values for name, values in group.extra.items()},
    )


def _size(group: Group) -> tuple[int, ...]:
    images = group.target if group.source is None else group.source
    assert images is not None
    return tuple(images.shape[2:])
