"""The images of one specimen, with the conversion to normalized slices and back (`gantk.Readable`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import gantk

DEEPEST = 65535


@dataclass(frozen=True)
class Stack:
    """Images of one specimen, all (Z, H, W), as counts of 16 bits; 0 is outside the specimen.

    Attributes:
        images: float32 images by channel of the microscope.
    """

    images: dict[str, np.ndarray]

    def slices(self, inputs: Sequence[str], settings: gantk.SliceSettings) -> gantk.Slices:
        """Every page as a slice in [-1, 1], exactly -1 outside the specimen.

        Counts mean the same in every file, so all images have one scale, unless the recipe sets a range
        (`data.intensities.NAME.range`).
        """
        foreground = np.any([self.images[name] > 0 for name in inputs], axis=0)
        if not foreground.any():
            raise gantk.DataError("this stack shows nothing", where=inputs[0], mend="leave the specimen out")
        scales = {name: self._scale(name, settings) for name in self.images}
        images = {name: scales[name].apply(image, foreground) for name, image in self.images.items()}
        return gantk.Slices(images, foreground, None, scales)

    def restore(
        self,
        image: np.ndarray,
        inputs: Sequence[str],
        settings: gantk.SliceSettings,
        slices: gantk.Slices,
        scale: gantk.Scale,
    ) -> np.ndarray:
        """An image made from the slices, (Z, 1, H, W), in the scale's own numbers and type, (Z, H, W)."""
        numbers = scale.invert(image[:, 0], slices.foreground)
        if np.dtype(scale.type).kind == "u":
            numbers = np.clip(np.rint(numbers), 0, DEEPEST)
        return numbers.astype(scale.type)

    @staticmethod
    def _scale(name: str, settings: gantk.SliceSettings) -> gantk.Scale:
        said = settings.intensities.get(name)
        low, high = (0, DEEPEST) if said is None or said.range is None else said.range
        return gantk.fixed_scale(low, high, background=0.0, type="uint16")
