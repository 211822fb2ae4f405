"""`[inference]` of a recipe: how images that are larger than a window are translated, window by window."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gantk.recipe.values import Images, Pair, Pixels, Settings, Triple

__all__ = ["InferenceSettings"]


class InferenceSettings(Settings):
    """`[inference]`: the sliding window with which validation, evaluation and prediction translate large images."""

    window: Pair[Pixels] | Triple[Pixels] | None = None
    """Size of the window in pixels; default: `data.patch` for volumes, no window for slices."""
    overlap: Annotated[float, Field(ge=0, le=0.95)] = 0.5
    """Overlap of neighboring windows along each axis, as a fraction of the window's size."""
    blend: Literal["gaussian", "constant", "median"] = "gaussian"
    """Combination of overlapping windows: `gaussian` (mean with larger weights near a window's center), `constant`
    (plain mean) or `median`."""
    batch: Images = 1
    """Number of windows per forward pass."""
    gather: Literal["device", "cpu"] = "device"
    """Where windows are combined: on the network's device, or in main memory (`cpu`), which saves GPU memory."""

    @field_validator("window", mode="before")
    @classmethod
    def _two_or_three(cls, window: Any) -> Any:
        if isinstance(window, list) and len(window) not in (2, 3):
            raise ValueError("must be [height, width] for slices, or [slices, height, width] for volumes")
        return window
