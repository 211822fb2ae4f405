"""The images of a step: batch groups, results computed from them once, and the check that no component changes them in
place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from gantk.data.layout import Domain
from gantk.errors import PluginError, TrainingError, nearest
from gantk.plugins.blame import blame
from gantk.tensors import take_channels
from gantk.translation.protocols import Moment

if TYPE_CHECKING:
    from gantk.data.batch import Batch, Group
    from gantk.translation.term import TransformSlot

__all__ = ["Images"]

T = TypeVar("T")


class Images:
    """Images known by identity: the same tensor asked for twice is made once.

    Everything in the memo keeps its key tensors alive, so identities stay unique for as long as the step lives.

    Args:
        batch: groups by name.
        requested: the transforms that terms may ask for, by name.
        moment: where in the training the step is.
    """

    def __init__(self, batch: Batch, requested: Mapping[str, TransformSlot], moment: Moment) -> None:
        self.batch = dict(batch)
        self.moment = moment
        self._requested = requested
        self._asked: dict[str, tuple[str, TransformSlot, int]] = {}
        self._real: set[int] = set()
        self._owners: dict[int, str] = {}  # the group that an image of the memo belongs to
        self._derived: dict[tuple[str, int], tuple[Tensor, Any]] = {}
        self._versions: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        for name, group in batch.items():
            self._know(name, group)

    def _know(self, name: str, group: Group) -> None:
        self._share(group.source, group.target, group.segmentation, *group.extra.values())
        self._owners |= {id(image): name for image in (group.source, group.target) if image is not None}
        self._real |= {id(image) for image in (group.source, group.target)}

    def _share(self, *tensors: Tensor | None) -> None:
        """Remember what several components will see, to notice when one of them changes it."""
        for tensor in tensors:
            if tensor is not None and not tensor.is_inference():
                self._versions.setdefault(tensor, tensor._version)

    @contextmanager
    def unchanged(self, origin: str, where: str) -> Iterator[None]:
        """A context in which a component works; it must not change shared images in place.

        Raises:
            PluginError: it did.
        """
        before = {tensor: tensor._version for tensor in self._versions}
        yield
        if any(tensor._version != before.get(tensor, version) for tensor, version in self._versions.items()):
            raise PluginError(
                f"the {origin} changed a tensor of the step in place",
                where=where,
                why="other terms and the gradient need it as it was",
                mend="compute a new one: x = x + 1 instead of x += 1, x.clamp() instead of x.clamp_()",
            )

    def group(self, name: str) -> Group:
        """A batch group.

        Raises:
            TrainingError: the batch has no such group.
        """
        try:
            return self.batch[name]
        except KeyError:
            raise TrainingError(f"the batch has no group {name!r}", mend=f"it has: {', '.join(self.batch)}") from None

    def augmented(self, group: str, transform: str) -> str:
        """The name of a batch group after a transform that is applied on request; drawn once per step.

        Raises:
            TrainingError: the recipe has no such transform.
        """
        made = f"{group} {transform}"
        if made not in self.batch:
            if transform not in self._requested:
                raise TrainingError(
                    f"there is no transform {transform!r} on request",
                    mend=f"{nearest(transform, self._requested)}; set on_request = true in the transform",
                )
            self._asked[made] = (group, self._requested[transform], int(torch.randint(2**62, ())))
            self.batch[made] = self._as_asked(made, self.group(group))
            self._know(made, self.batch[made])
        return made

    def mirrored(self, group: str) -> str:
        """The name of a batch group mirrored from left to right."""
        made = f"{group}:mirrored"  # no group and no transform has a colon in its name
        if made not in self.batch:
            self.batch[made] = self.group(group).mirrored()
            self._know(made, self.batch[made])
        return made

    def moved(self, made: str, image: Tensor) -> Tensor:
        """An image of the group that `augmented` began with, moved along with that group's targets, with gradient.

        Raises:
            TrainingError: `augmented` did not make the group.
        """
        if made not in self._asked:
            raise TrainingError(
                f"the slices of the group {made!r} were not augmented",
                mend="use an augmented view: view.augmented(NAME).moved(image)",
            )
        group = replace(self.group(self._asked[made][0]), target=image)
        return self.derive(f"moved {made}", image, lambda image: _there(self._as_asked(made, group).target))

    def _as_asked(self, made: str, group: Group) -> Group:
        """A group as the transform makes it, by the same draws each time."""
        _, slot, seed = self._asked[made]
        with torch.random.fork_rng(devices=[]), blame(slot.origin, f"transforms.{slot.name}"):
            torch.manual_seed(seed)
            changed: Group = slot.component(group, self.moment)
        return changed

    def image(self, group: str, domain: Domain) -> Tensor:
        """The images `(B, c, *spatial)` of a domain in a batch group; the same tensor each time.

        Raises:
            TrainingError: the batch has no such group, or the group no such side.
        """
        found = self.group(group)
        images = found.source if domain.side == "source" else found.target
        if images is None:
            raise TrainingError(
                f"the batch group {group!r} has no {domain.side}",
                mend="place the loss on another group; gantk.Needs(target=True) says in its plugin what it wants",
            )
        if domain.channels is None:
            return images
        channels = domain.channels
        images = self.derive(f"channels {channels}", images, lambda x: take_channels(x, channels))
        self._real.add(id(images))
        return images

    def derive(self, name: str, image: Tensor, make: Callable[[Tensor], T]) -> T:
        """`make(image)`, computed once per step under this name, so that results computed from it are shared too."""
        key = (name, id(image))
        if key not in self._derived:
            self._derived[key] = (image, made := make(image))
            if isinstance(made, Tensor):
                self._share(made)
                self._belongs(made, image)
        return self._derived[key][1]

    def detached(self, image: Tensor) -> Tensor:
        """The image cut from its gradient; the same tensor each time it is asked for."""
        return self.derive("detached", image, Tensor.detach)

    def _belongs(self, made: Tensor, image: Tensor) -> None:
        """Record that a result made from an image belongs to the same group."""
        if id(image) in self._owners:
            self._owners[id(made)] = self._owners[id(image)]


def _there(image: Tensor | None) -> Tensor:
    assert image is not None
    return image
