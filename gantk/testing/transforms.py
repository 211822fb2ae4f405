"""Conformance of transforms."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gantk.data.batch import Group
from gantk.testing.batches import make_group
from gantk.testing.checks import check_equal, check_finite, pickled
from gantk.testing.failures import expect
from gantk.testing.spatial import SpatialConformance
from gantk.translation import Moment

__all__ = ["TransformConformance"]

IMAGES = ("source", "target", "segmentation")


class TransformConformance(SpatialConformance):
    """Conformance of a transform; see `Conformance` for how to use it.

    Attributes:
        inputs: channels of the source.
        targets: channels of the target.
        size: H and W of slices.
        volume: D, H and W of volumes.
        draws: number of seeds that each test tries, because a transform may leave a batch unchanged.
    """

    kind = "transform"
    inputs: ClassVar[int] = 3
    targets: ClassVar[int] = 1
    draws: ClassVar[int] = 5

    def group(self, batch: int = 3, *, background: bool = False) -> Group:
        """A paired group."""
        return make_group(batch, self.inputs, self.targets, self.spatial, background=background)

    def apply(self, group: Group, seed: int = 0, epoch: int = 0) -> Group:
        """The group as a new instance changes it, from a seed of torch's."""
        torch.manual_seed(seed)
        return self.make()(group, Moment("training", epoch, 10, epoch))

    def test_images(self) -> None:
        """Shapes, types, ranges, patients and slices stay the same, and labels stay labels."""
        for seed in range(self.draws):
            group = self.group()
            check_group(self.apply(group, seed, epoch=seed), group)

    def test_categories(self) -> None:
        """Categorical source channels (`group.categories`) get no new values."""
        for seed in range(self.draws):
            group = self.group()
            assert group.source is not None
            names = torch.tensor([-0.9, -0.4, 0.1, 0.5, 1.0])
            codes = names[((group.source[:, :1] + 1) * 2.4).long().clamp(0, 4)]
            source = torch.cat([torch.where(group.source[:, :1] > -1, codes, -1.0), group.source[:, 1:]], dim=1)
            given = self.apply(replace(group, source=source, categories=(0,)), seed)
            assert given.source is not None
            new = sorted(set(given.source[:, 0].unique().tolist()) - {-1.0, *names.tolist()})
            expect(
                not new,
                f"a channel of categories holds numbers that were not there, such as {new[:3]}",
                "move the channels group.categories by the nearest neighbour, and leave their values alone",
            )

    def test_given_group_stays(self) -> None:
        """The input group is not changed."""
        for seed in range(self.draws):
            group = self.group()
            kept = copy.deepcopy(group)
            self.apply(group, seed)
            check_same(
                group, kept, "that was given has changed", "work on a copy: dataclasses.replace(group, source=…)"
            )

    def test_pair_stays_a_pair(self) -> None:
        """Source, target and segmentation are moved in the same way."""
        for seed in range(self.draws):
            group = self.group()
            assert group.segmentation is not None
            assert group.target is not None
            assert group.source is not None
            inside = group.segmentation > 0
            marked = replace(
                group,
                extra={"labels": group.segmentation.clone(), "site": torch.arange(len(group))},
                source=torch.where(inside, group.source.clamp(min=-0.5), -1.0),
                target=torch.where(inside, group.target.clamp(min=-0.5), -1.0),
            )
            given = self.apply(marked, seed)
            assert given.segmentation is not None
            assert given.target is not None
            assert given.source is not None
            place = given.segmentation > 0
            moved = torch.equal(given.extra["labels"], given.segmentation)
            moved &= torch.equal(given.extra["site"], marked.extra["site"])
            expect(
                moved, "segmentation and group.extra part", "move what is said of pixels as labels, and nothing else"
            )
            mend = (
                "draw once per image, and move source, target and segmentation by the same draw, labels by the nearest"
            )
            same = torch.equal(given.target > -1, place.expand_as(given.target))
            expect(same, "target and segmentation part", mend)
            there = given.available[(..., *[None] * self.dimensions)]
            same = torch.equal((given.source > -1) & there, place & there)
            expect(same, "source and segmentation part", mend)

    def test_incomplete_groups(self) -> None:
        """Groups without source, target or segmentation are accepted, and nothing is added to them."""
        for lacking in IMAGES:
            without: dict[str, Any] = {lacking: None}
            group = replace(self.group(), **without)
            given = self.apply(group)
            expect(
                getattr(given, lacking) is None,
                f"a group without {lacking} came back with one",
                "leave what is None as it is: groups of unpaired slices have no target, and some have no source",
            )
            check_group(given, group)

    def test_seeded(self) -> None:
        """Torch's seed alone determines the group, whatever other random generators do; also in a pickled copy."""
        group = self.group()
        for seed in range(self.draws):
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002 - the generator that a transform must not draw from
            first = self.apply(group, seed)
            random.seed(2)
            np.random.seed(2)  # noqa: NPY002
            second = self.apply(group, seed)
            mend = "draw from torch's global generator alone: it is seeded for each step, so that a resume is exact"
            check_same(second, first, "differs from run to run", mend)
            torch.manual_seed(seed)
            copied = pickled(self.make())(group, Moment("training", 0, 10, 0))
            check_same(copied, first, "is another from a pickled copy", "keep no state outside plain attributes")

    def test_batch_of_one(self) -> None:
        """A batch of one is accepted."""
        group = self.group(1)
        check_group(self.apply(group), group)

    def test_background(self) -> None:
        """Images of nothing but background stay background, without NaN."""
        group = self.group(background=True)
        for seed in range(self.draws):
            given = self.apply(group, seed)
            check_group(given, group)
            for name in ("source", "target"):
                image = getattr(given, name)
                mend = "change only what is above -1"
                expect(not bool((image > -1).any()), f"the background of the {name} is not -1 any more", mend)


def check_same(found: Group, wanted: Group, what: str, mend: str) -> None:
    """Check that two groups have equal images."""
    for name in IMAGES:
        check_equal(getattr(found, name), getattr(wanted, name), f"the {name} {what}", mend)


def check_group(given: Group, group: Group) -> None:
    """Check that a changed group can replace the original one in training."""
    expect(isinstance(given, Group), f"it returned a {type(given).__name__}", "return a gantk.Group")
    mend = "change images alone: dataclasses.replace(group, source=…, target=…, segmentation=…)"
    same = given.patients == group.patients and given.slices == group.slices
    expect(same, "patients or slices have changed", mend)
    for name in IMAGES:
        before, after = getattr(group, name), getattr(given, name)
        if before is not None:
            expect(isinstance(after, Tensor), f"the {name} is {type(after).__name__}", mend)
            check_image(name, before, after)


def check_image(name: str, before: Tensor, after: Tensor) -> None:
    """Shape, type and values of one of a group's images."""
    expect(
        after.shape == before.shape and after.dtype == before.dtype,
        f"the {name} is {tuple(after.shape)}, {after.dtype}; it was {tuple(before.shape)}, {before.dtype}",
        "give images back in the size and type in which they came: networks are built for them",
    )
    if name == "segmentation":
        new = sorted(set(after.unique().tolist()) - set(before.unique().tolist()))
        expect(
            not new, f"the segmentation has labels {new} that were not there", "move labels by the nearest neighbour"
        )
        return
    check_finite(f"the {name}", after)
    low, high = float(after.min()), float(after.max())
    expect(low >= -1 and high <= 1, f"the {name} lies in [{low:.3g}, {high:.3g}]", "clamp images to [-1, 1]")
