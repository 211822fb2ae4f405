"""Example slices: inputs, target, the outputs of each role, and weight maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gantk.errors import EvaluationError
from gantk.files import atomic_write

if TYPE_CHECKING:
    from torch import Tensor

    from gantk.data.batch import Group

__all__ = ["TARGET_EXAMPLES", "Examples"]

TARGET_EXAMPLES = "target_examples.npz"
"""Outputs of translators in the other direction, next to `examples.npz`, for runs without test pairs."""


@dataclass
class Examples:
    """N slices for pictures; images are float32 in [-1, 1], (N, H, W), or (N, H, W, 3) in color.

    Args:
        inputs: input images by modality.
        target: target images; None if unknown.
        outputs: output images by role.
        weights: weight maps by `map/role`, (N, H, W), at least 0; may be empty.
        segmentation: (N, H, W) uint8 labels.
        titles: one per slice, e.g. `BraTS20_Training_012, slice 34`.
    """

    inputs: dict[str, np.ndarray]
    target: np.ndarray | None
    outputs: dict[str, np.ndarray]
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    segmentation: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), np.uint8))
    titles: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @classmethod
    def of(
        cls,
        group: Group,
        inputs: Mapping[str, Tensor],
        target: Tensor | None,
        outputs: Mapping[str, Tensor],
        weights: Mapping[str, Tensor] | None = None,
    ) -> Examples:
        """A group's slices; images are (N, C, H, W): three channels are shown as color, otherwise the first is shown.

        A slice is titled with its subject and its index, a single picture with its name.
        """
        stacks = any(group.slices)
        return cls(
            inputs={name: _picture(image) for name, image in inputs.items()},
            target=None if target is None else _picture(target),
            outputs={role: _picture(image) for role, image in outputs.items()},
            weights={name: _picture(image) for name, image in (weights or {}).items()},
            segmentation=_labels(group),
            titles=[f"{p}, slice {z}" if stacks else p for p, z in zip(group.subjects, group.slices, strict=True)],
        )

    def plus(self, outputs: Mapping[str, Tensor]) -> Examples:
        """The same slices with further outputs (N, C, H, W) appended."""
        more = {name: _picture(image) for name, image in outputs.items() if name not in self.outputs}
        return replace(self, outputs={**self.outputs, **more})

    def save(self, path: Path) -> None:
        """Write an .npz without pickled objects, atomically."""
        arrays: dict[str, Any] = {
            "segmentation": self.segmentation,
            "titles": np.array(self.titles, dtype=np.str_),
        }
        if self.target is not None:
            arrays["target"] = self.target
        for kind in ("inputs", "outputs", "weights"):
            arrays |= {f"{kind}/{name}": array for name, array in getattr(self, kind).items()}
        with atomic_write(path) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Examples:
        """Read a file that `save` wrote.

        Raises:
            EvaluationError: the file is missing or invalid.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                named: dict[str, dict[str, np.ndarray]] = {"inputs": {}, "outputs": {}, "weights": {}}
                for key in arrays.files:
                    kind, _, name = key.partition("/")
                    if kind in named:
                        named[kind][name] = arrays[key]
                titles = [str(title) for title in arrays["titles"]]
                sizes = {len(array) for images in named.values() for array in images.values()}
                if not named["inputs"] or sizes - {len(titles) or max(sizes)}:
                    raise ValueError("it does not contain the slices that its titles name")
                return cls(
                    target=arrays["target"] if "target" in arrays.files else None,
                    segmentation=arrays["segmentation"],
                    titles=titles,
                    **named,
                )
        except OSError as error:
            raise EvaluationError("the example slices cannot be read", where=path, why=error) from error
        except Exception as error:  # zlib, zipfile and NumPy raise many kinds of errors for a damaged archive
            raise EvaluationError(
                "the example slices cannot be read",
                where=path,
                why=f"{type(error).__name__}: {error}",
                mend="evaluate the run again",
            ) from error


def _picture(images: Tensor) -> np.ndarray:
    """(N, C, H, W) → (N, H, W), or (N, H, W, 3)."""
    array: np.ndarray = images.detach().float().cpu().numpy()
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1) if array.shape[1] == 3 else array[:, 0])


def _labels(group: Group) -> np.ndarray:
    if group.segmentation is None:
        foreground = group.foreground[:, 0].cpu().numpy()
        return np.zeros(foreground.shape, np.uint8)
    labels: np.ndarray = group.segmentation[:, 0].cpu().numpy().astype(np.uint8)
    return labels
