"""A patient's slices as one volume, shown in three planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gantk.data.normalisation import BACKGROUND
from gantk.data.planes import centre, resize
from gantk.evaluation.examples import Examples

__all__ = ["in_three_planes"]


def in_three_planes(slices: Examples, row: int, depth: float = 1.0) -> Examples:
    """An axial, a coronal and a sagittal slice of a volume through one point, on square canvases of one size.

    The point is the center of the tumor in an axial slice or, without tumor, the center of the image.

    Args:
        slices: all axial slices of a patient, from inferior to superior.
        row: the axial slice.
        depth: distance between slices as a multiple of a pixel's side.
    """
    places = np.argwhere(slices.segmentation[row] > 0)
    height, width = slices.segmentation.shape[1:3]
    y, x = places.mean(0).round().astype(int).tolist() if len(places) else (height // 2, width // 2)
    tall = max(1, round(len(slices) * depth))
    side = max(height, width, tall)

    def shown(volume: np.ndarray, fill: float, labels: bool = False) -> np.ndarray:
        """(D, H, W) or (D, H, W, 3) to (3, side, side), or (3, side, side, 3) in color."""
        planes = [volume[row], volume[::-1, y], volume[::-1, :, x]]  # the top of the head points up
        made = []
        for plane in planes:
            channels = plane[None] if plane.ndim == 2 else np.moveaxis(plane, -1, 0)
            if plane is not planes[0] and channels.shape[1] != tall:
                channels = resize(channels, (tall, channels.shape[2]), nearest=labels)
            square = centre(channels.astype(volume.dtype), (side, side), fill)
            made.append(square[0] if plane.ndim == 2 else np.moveaxis(square, 0, -1))
        return np.stack(made)

    title = slices.titles[row] if slices.titles else ""
    return replace(
        slices,
        inputs={name: shown(volume, BACKGROUND) for name, volume in slices.inputs.items()},
        target=None if slices.target is None else shown(slices.target, BACKGROUND),
        outputs={name: shown(volume, BACKGROUND) for name, volume in slices.outputs.items()},
        weights={name: shown(volume, 0) for name, volume in slices.weights.items()},
        segmentation=shown(slices.segmentation, 0, labels=True),
        titles=[title, "coronal", "sagittal"],
    )
