"""Slices shown side by side: inputs, target, what each role made of them, and the weight maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from gantk.errors import EvaluationError
from gantk.files import atomic_write

if TYPE_CHECKING:
    from torch import Tensor

    from gantk.data.batch import Group

__all__ = ["Examples"]


@dataclass
class Examples:
    """N slices for pictures; images are float32 in [-1, 1].

    Args:
        inputs: by modality, (N, H, W).
        target: (N, H, W).
        outputs: by role, (N, H, W).
        weights: by `map/role`, (N, H, W), at least 0; may be empty.
        segmentation: (N, H, W) uint8 labels.
        titles: one per slice, e.g. `BraTS20_Training_012, slice 34`.
    """

    inputs: dict[str, np.ndarray]
    target: np.ndarray
    outputs: dict[str, np.ndarray]
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    segmentation: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), np.uint8))
    titles: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.target)

    @classmethod
    def from_group(
        cls,
        group: Group,
        inputs: Sequence[str],
        outputs: Mapping[str, Tensor],
        weights: Mapping[str, Tensor] | None = None,
    ) -> Examples:
        """A group's slices with outputs (N, T, H, W) and maps (N, 1, H, W); the first target is shown."""
        if group.source is None or group.target is None or group.segmentation is None:
            raise EvaluationError("pictures need inputs and target of the same slices, and the group lacks one")
        return cls(
            inputs={name: _plane(group.source, channel) for channel, name in enumerate(inputs)},
            target=_plane(group.target),
            outputs={role: _plane(image) for role, image in outputs.items()},
            weights={name: _plane(image) for name, image in (weights or {}).items()},
            segmentation=group.segmentation.detach().cpu().numpy()[:, 0].astype(np.uint8),
            titles=[f"{p}, slice {z}" for p, z in zip(group.patients, group.slices, strict=True)],
        )

    def save(self, path: Path) -> None:
        """Write an .npz without pickled objects, atomically."""
        arrays: dict[str, Any] = {
            "target": self.target,
            "segmentation": self.segmentation,
            "titles": np.array(self.titles, dtype=np.str_),
        }
        for kind in ("inputs", "outputs", "weights"):
            arrays |= {f"{kind}/{name}": array for name, array in getattr(self, kind).items()}
        with atomic_write(path) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Examples:
        """Read what `save` wrote.

        Raises:
            EvaluationError: where the file is missing or not what it should be.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                named: dict[str, dict[str, np.ndarray]] = {"inputs": {}, "outputs": {}, "weights": {}}
                for key in arrays.files:
                    kind, _, name = key.partition("/")
                    if kind in named:
                        named[kind][name] = arrays[key]
                return cls(
                    target=arrays["target"],
                    segmentation=arrays["segmentation"],
                    titles=[str(title) for title in arrays["titles"]],
                    **named,
                )
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise EvaluationError(
                "the example slices cannot be read", where=path, why=f"{type(error).__name__}: {error}"
            ) from error


def _plane(image: Tensor, channel: int = 0) -> np.ndarray:
    plane: np.ndarray = image.detach().cpu().float().numpy()[:, channel]
    return np.ascontiguousarray(plane)
