"""One subject's pictures, and their conversion to slices and back; needs only NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gantk.data.normalisation import Scale, fixed_scale, full_scale
from gantk.data.planes import resize
from gantk.data.slices import Slices, SliceSettings, category_scale, few_numbers
from gantk.errors import DataError

__all__ = ["Picture"]


@dataclass(frozen=True)
class Picture:
    """One subject's pictures, with the numbers of their files.

    Attributes:
        images: modality -> float32 (C, H, W); all of one size.
        greatest: modality -> the greatest value that its file could hold, such as 255; None if unknown.
        size: (H, W) to which slices are resized; None for the size of the crop. See `sized`.
        files: modality -> its file.
        types: modality -> the NumPy type of the file's numbers; default: the unsigned type that holds `greatest`.
        left_out: modality -> what the file contains but the image does not; empty for nothing.
    """

    images: dict[str, np.ndarray]
    greatest: Mapping[str, int | None]
    size: tuple[int, int] | None
    files: Mapping[str, Path] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def own_size(self) -> tuple[int, int]:
        """(H, W) of the files' images."""
        _, height, width = next(iter(self.images.values())).shape
        return height, width

    def sized(self, size: tuple[int, int]) -> Picture:
        """The same pictures, with slices resized to (H, W)."""
        return replace(self, size=size)

    def slices(self, inputs: Sequence[str], settings: SliceSettings) -> Slices:
        """One slice per modality, (1, C, H, W), above -1 because a picture is foreground everywhere.

        Raises:
            DataError: the size is smaller than the crop, or the recipe lacks a required range.
        """
        size = self.size or settings.crop
        if size[0] < settings.crop[0] or size[1] < settings.crop[1]:
            raise DataError(
                f"images of {size[0]} × {size[1]} do not fill the crop of {settings.crop[0]} × {settings.crop[1]}",
                mend="raise data.size, or omit it to resize images to data.crop",
            )
        scales = {name: self._scale(name, settings) for name in self.images}
        images, remarks = {}, {}
        for name, image in self.images.items():
            low, high = scales[name].units
            if image.min() < low or image.max() > high:
                found = f"{image.min():g} to {image.max():g} in {self.files.get(name, name)}"
                remarks[f"Numbers outside data.intensities.{name}.range = [{low:g}, {high:g}] are clipped to it"] = (
                    found
                )
            if self.left_out.get(name):
                remarks[f"The {self.left_out[name]} of images is ignored"] = str(self.files.get(name, name))
            if remark := few_numbers(name, image, settings):
                remarks[remark] = str(self.files.get(name, name))
            sized = resize(image, size, nearest=name in settings.categories)
            images[name] = scales[name].apply(sized, np.ones(sized.shape, bool))[None]
        return Slices(images, np.ones(size, bool)[None], None, scales, remarks=remarks)

    def restore(
        self, image: np.ndarray, inputs: Sequence[str], settings: SliceSettings, slices: Slices, scale: Scale
    ) -> np.ndarray:
        """A picture (1, C, H, W) in [-1, 1] in the first image's size and the scale's type: (H, W) or (H, W, 3)."""
        pixels = scale.invert(resize(image[0], self.own_size))
        kind = np.dtype(scale.type)
        if kind.kind != "f":
            pixels = np.clip(np.rint(pixels.astype(np.float64)), np.iinfo(kind).min, np.iinfo(kind).max)
        pixels = pixels.astype(kind)
        return pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def _scale(self, name: str, settings: SliceSettings) -> Scale:
        """The map from a file's numbers to [-1, 1]: the recipe's range, else the full range of the file."""
        greatest, said = self.greatest[name], settings.intensities.get(name)
        full = full_scale(greatest or 1)
        full = replace(full, type=self.types.get(name, full.type))
        if name in settings.categories:
            return category_scale(name, self.images[name], settings, full.type)
        if said is not None and said.range is not None:
            return fixed_scale(*said.range, type=full.type)
        if greatest is None:
            low, high = self.images[name].min(), self.images[name].max()
            raise DataError(
                f"this image holds {full.type} numbers, {low:g} to {high:g}, but the file does not say which values "
                "are black and white",
                where=name,
                mend=f"set the range of these images in the recipe, such as data.intensities.{name}.range = "
                f"[{low:g}, {high:g}]",
            )
        return full
