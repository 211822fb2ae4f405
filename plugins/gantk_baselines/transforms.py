"""Transforms of training batches: flips, crops, poses and intensities; pairs stay aligned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import torch
from kornia.enhance import adjust_brightness_accumulative, adjust_contrast_with_mean_subtraction
from kornia.geometry.transform import get_affine_matrix2d, hflip, resize, warp_affine
from pydantic import Field
from torch import Tensor
from torch.nn.functional import interpolate

from gantk import Count, Fraction, GantkError, Group, Moment

Share = Annotated[float, Field(ge=0, lt=1)]

BACKGROUND = -1.0
DARKEST = BACKGROUND + 2 / 65535  # what is no background stays above it
# all draws are on the CPU, so that a seed means the same on every device


class Flip:
    """Mirrors slices left to right, source, target and segmentation alike.

    Args:
        probability: that a slice is mirrored.
    """

    def __init__(self, probability: Fraction = 0.5) -> None:
        self.probability = probability

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group with some of its slices mirrored; values and shapes stay."""
        chosen = torch.rand(len(group)) < self.probability

        def mirrored(images: Tensor) -> Tensor:
            return torch.where(chosen.to(images.device)[:, None, None, None], hflip(images), images)

        return _everywhere(group, mirrored, mirrored)


class ResizeAndCrop:
    """Enlarges slices and cuts their own size out at a random place, the same in source, target and segmentation.

    Images are interpolated bilinearly, labels and categories take the nearest. What the nearest pixel says is
    background stays so.

    Args:
        scale: of height and width, at least 1; pix2pix and CycleGAN enlarge 256 to 286.
    """

    def __init__(self, scale: Annotated[float, Field(ge=1, le=8)] = 286 / 256) -> None:
        self.scale = scale

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group at the same size, each slice from a place of its own."""
        height, width = _size(group)
        size = (round(height * self.scale), round(width * self.scale))
        tops = torch.randint(size[0] - height + 1, (len(group),)).tolist()
        lefts = torch.randint(size[1] - width + 1, (len(group),)).tolist()

        def cut(images: Tensor) -> Tensor:
            places = zip(images, tops, lefts, strict=True)
            return torch.stack([image[:, y : y + height, x : x + width] for image, y, x in places])

        def labels(images: Tensor) -> Tensor:
            return cut(resize(images.float(), size, interpolation="nearest").to(images.dtype))

        def picture(images: Tensor) -> Tensor:
            larger = resize(images, size, interpolation="bilinear", align_corners=False)
            inside = resize((images > BACKGROUND).to(images.dtype), size, interpolation="nearest") > 0
            return cut(torch.where(inside, larger, BACKGROUND))

        return _everywhere(group, picture, labels)


class Jitter:
    """Changes brightness and contrast, by the same factors in source and target; meant for natural images.

    With u in [0, 1] for [-1, 1]: u ← b·u, then u ← c·u + (1 − c)·mean(u), both cut to [0, 1], where b is uniform in
    [1 − brightness, 1 + brightness] and c in [1 − contrast, 1 + contrast]. Background stays, and counts in the mean.

    Args:
        brightness: greatest relative change.
        contrast: greatest relative change.
    """

    def __init__(self, brightness: Share = 0.2, contrast: Share = 0.2) -> None:
        self.brightness, self.contrast = brightness, contrast

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group with other intensities; what is above -1 stays so."""
        bright = 1 + self.brightness * (2 * torch.rand(len(group)) - 1)
        contrast = 1 + self.contrast * (2 * torch.rand(len(group)) - 1)

        def changed(images: Tensor) -> Tensor:
            unit = adjust_brightness_accumulative((images + 1) / 2, bright.to(images))
            unit = adjust_contrast_with_mean_subtraction(unit, contrast.to(images))
            return torch.where(images > BACKGROUND, (2 * unit - 1).clamp(min=DARKEST), images)

        return _everywhere(group, changed, lambda labels: labels)


class InputJitter:
    """Changes inputs as other scanners and coils would, each by itself: v·u^γ·exp(b) + n with u in [0, 1].

    Gain v, exponent γ, the smooth field b and the noise n are drawn for each slice and modality; target and
    segmentation stay, and so do inputs that hold categories. Background stays so, and what is none stays above it.

    Args:
        gain: standard deviation of log v.
        gamma: standard deviation of log γ.
        bias: standard deviation of b on a grid of 4 × 4 points, between which it is bicubic.
        noise: standard deviation of n, on the scale of u.
        planes: channels of one modality, 2·n + 1 with n neighboring slices; they share v, γ and b.

    Raises:
        GantkError: the source's channels are no multiple of `planes`.
    """

    def __init__(
        self, gain: Share = 0.1, gamma: Share = 0.1, bias: Share = 0.08, noise: Share = 0.02, planes: Count = 1
    ) -> None:
        self.gain, self.gamma, self.bias, self.noise, self.planes = gain, gamma, bias, noise, planes

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group with other intensities of its source; a group without source as it is."""
        source = group.source
        if source is None:
            return group
        batch, channels, height, width = source.shape
        if channels % self.planes:
            raise GantkError(
                f"{channels} channels are no multiple of planes = {self.planes}",
                where="input_jitter",
                mend="set planes to 2 · data.neighbours + 1",
            )
        modalities = channels // self.planes
        gain, gamma = torch.randn(2, batch, modalities, 1, 1)
        bias = interpolate(torch.randn(batch, modalities, 4, 4), (height, width), mode="bicubic", align_corners=False)

        def spread(drawn: Tensor) -> Tensor:
            return drawn.repeat_interleave(self.planes, dim=1).to(source)

        factor = spread((self.gain * gain + self.bias * bias).exp())
        unit = factor * ((source + 1) / 2).clamp(min=0) ** spread((self.gamma * gamma).exp())
        unit = unit + self.noise * torch.randn(source.shape).to(source)
        jittered = (source > BACKGROUND) & ~group.named
        return replace(group, source=torch.where(jittered, (2 * unit - 1).clamp(DARKEST, 1), source))


class Affine:
    """Turns, scales and shifts slices, the same in source, target and segmentation: patients of other shapes and poses.

    Images are interpolated bilinearly, labels and categories take the nearest. What the nearest pixel says is
    background stays so.

    Args:
        degrees: greatest turn to either side.
        scale: greatest relative change of size.
        shift: greatest shift, as a part of height and width.
        probability: that a slice is changed.
    """

    def __init__(
        self,
        degrees: Annotated[float, Field(ge=0, le=180)] = 10.0,
        scale: Share = 0.1,
        shift: Share = 0.05,
        probability: Fraction = 1.0,
    ) -> None:
        self.degrees, self.scale, self.shift, self.probability = degrees, scale, shift, probability

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group at the same size, each slice in a pose of its own."""
        height, width = _size(group)
        draws = 2 * torch.rand(4, len(group)) - 1
        draws[:, torch.rand(len(group)) >= self.probability] = 0
        angle, zoom, down, right = draws
        centre = torch.tensor([(width - 1) / 2, (height - 1) / 2]).expand(len(group), 2)
        size = (1 + self.scale * zoom)[:, None].expand(-1, 2)
        shift = self.shift * torch.stack([right * width, down * height], dim=1)
        matrix = get_affine_matrix2d(shift, centre, size, self.degrees * angle)[:, :2]

        def warped(images: Tensor, mode: str) -> Tensor:
            return warp_affine(images, matrix.to(images), (height, width), mode=mode, align_corners=True)

        def labels(images: Tensor) -> Tensor:
            return warped(images.float(), "nearest").to(images.dtype)

        def picture(images: Tensor) -> Tensor:
            inside = warped((images > BACKGROUND).to(images.dtype), "nearest") > 0
            turned = (warped(images - BACKGROUND, "bilinear") + BACKGROUND).clamp(min=DARKEST)
            return torch.where(inside, turned, BACKGROUND)

        return _everywhere(group, picture, labels)


def _everywhere(group: Group, images: Callable[[Tensor], Tensor], labels: Callable[[Tensor], Tensor]) -> Group:
    """The group with its images and its labels changed; categories, in the source too, are changed as labels are."""
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
        extra={name: labels(values) if values.ndim == 4 else values for name, values in group.extra.items()},
    )


def _size(group: Group) -> tuple[int, int]:
    images = group.target if group.source is None else group.source
    assert images is not None
    return images.shape[-2], images.shape[-1]
