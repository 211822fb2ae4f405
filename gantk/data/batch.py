"""A batch: groups of slices, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gantk.data.layout import Domain

__all__ = ["Batch", "Group"]


@dataclass
class Group:
    """The slices or volume patches of one batch group; spatial is (H, W), or (D, H, W) with D along the slices.

    Attributes:
        source: (B, C, *spatial) inputs, float32 in [-1, 1]; None if the group has no source.
        target: (B, T, *spatial), float32 in [-1, 1]; None if the group has no target.
        segmentation: (B, 1, *spatial) uint8 labels as defined in `gantk.labels`; zeros without a segmentation.
        patients: id of each slice's patient.
        slices: index of each slice in its LPS volume.
        own: the source channels that show the slices themselves rather than their neighbors; None for all channels.
        categories: the source channels that hold categories, such as a label map, so that values between them have no
            meaning.
        subjects: id of each slice's subject, such as a patient's visit; default: the patients.
        extra: the values that `[data.extra]` declares, by name: category indices per pixel, uint8 (B, 1, *spatial),
            category indices per image, int64 (B,), or numbers per image, float32 (B,).
    """

    source: Tensor | None
    target: Tensor | None
    segmentation: Tensor | None
    patients: tuple[str, ...]
    slices: tuple[int, ...]
    own: tuple[int, ...] | None = None
    categories: tuple[int, ...] = ()
    subjects: tuple[str, ...] = ()
    extra: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.subjects = self.subjects or self.patients

    @property
    def foreground(self) -> Tensor:
        """The brain, bool (B, 1, *spatial): any own channel of the source (target if there is none) exceeds -1."""
        images = self.target if self.source is None else self.source
        if images is None:
            raise ValueError("a group without source and target has no foreground")
        if images is self.source and self.own is not None:
            images = images[:, list(self.own)]
        return (images > -1).any(dim=1, keepdim=True)

    @property
    def available(self) -> Tensor:
        """Which source channels are present, bool (B, C): channels with any pixel above the background."""
        if self.source is None:
            raise ValueError("a group without source has no source channels")
        return (self.source > -1).flatten(2).any(dim=2)

    @property
    def named(self) -> Tensor:
        """Which source channels hold categories, bool (1, C, 1, 1), with as many dimensions as the source."""
        if self.source is None:
            raise ValueError("a group without source has no source channels")
        named = torch.zeros(self.source.shape[1], dtype=torch.bool, device=self.source.device)
        named[list(self.categories)] = True
        return named.reshape(1, -1, *[1] * (self.source.ndim - 2))

    def image(self, domain: Domain) -> Tensor | None:
        """The channels (B, c, *spatial) of a translator's domain; None if the group lacks them."""
        images = self.source if domain.side == "source" else self.target
        return images if images is None or domain.channels is None else images[:, list(domain.channels)]

    def to(self, device: torch.device | str) -> Group:
        """The same group on a device."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Group:
        """The same group in pinned memory."""
        return self._changed(Tensor.pin_memory)

    def mirrored(self) -> Group:
        """The same group mirrored from left to right; values of whole images stay."""
        return self._changed(lambda tensor: tensor.flip(-1) if tensor.ndim > 2 else tensor)

    def part(self, number: int, of: int) -> Group:
        """Part `number` of the slices, divided in order into `of` equal parts."""
        size = len(self) // of
        own = slice(number * size, (number + 1) * size)
        return replace(
            self._changed(lambda tensor: tensor[own]),
            patients=self.patients[own],
            slices=self.slices[own],
            subjects=self.subjects[own],
        )

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Group:
        """The group with the function applied to all its tensors."""

        def changed(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else change(tensor)

        return replace(
            self,
            source=changed(self.source),
            target=changed(self.target),
            segmentation=changed(self.segmentation),
            extra={name: change(values) for name, values in self.extra.items()},
        )

    def __len__(self) -> int:
        return len(self.patients)


Batch = dict[str, Group]
