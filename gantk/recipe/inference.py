"""`[inference]` of a recipe: how images that are larger than a window are translated, window by window."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gantk.recipe.values import Images, Pair, Pixels, Settings, Triple

__all__ = ["InferenceSettings"]


class InferenceSettings(Settings):
    """`[inference]`: how validation, evaluation and prediction translate images window by window."""

    window: Pair[Pixels] | Triple[Pixels] | None = None
    """Sides of a window in pixels; where absent, those of `data.patch` for volumes, and slices are translated whole."""
    overlap: Annotated[float, Field(ge=0, le=0.95)] = 0.5
    """Part of a window, along each axis, that the next one shows again."""
    blend: Literal["gaussian", "constant", "median"] = "gaussian"
    """What windows become where they overlap: their mean, weighted toward each one's middle or not, or their median."""
    batch: Images = 1
    """Windows that are translated at once."""
    gather: Literal["device", "cpu"] = "device"
    """Where windows are put together: where the network is, or in the computer's own memory."""

    @field_validator("window", mode="before")
    @classmethod
    def _two_or_three(cls, window: Any) -> Any:
        if isinstance(window, list) and len(window) not in (2, 3):
            raise ValueError("a window is [height, width] of slices, or [slices, height, width] of volumes")
        return window
