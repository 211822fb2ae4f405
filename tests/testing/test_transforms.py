"""Mistakes that authors of transforms make are found, and named."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from gantk import Group, Moment
from mistakes import failure


def transform(change: Callable[[Group], Group]) -> type:
    class Transform:
        """A transform."""

        def __call__(self, group: Group, moment: Moment) -> Group:
            return change(group)

    return Transform


def _in_place(group: Group) -> Group:
    group.source[:] = 0
    return group


def _python_random(group: Group) -> Group:
    return replace(group, target=group.target.clamp(max=random.random()))


def _half(group: Group) -> Group:
    return replace(group, source=group.source[..., ::2])


@pytest.mark.parametrize(
    ("change", "test", "words"),
    [
        (_in_place, "given_group_stays", "the source that was given has changed"),
        (_python_random, "seeded", "the target differs from run to run"),
        (_half, "images", "the source is (3, 3, 24, 16)"),
        (lambda g: replace(g, source=g.source * 2), "images", "the source lies in"),
        (
            lambda g: replace(g, source=g.source.flip(-1).roll(3, -1)),
            "pair_stays_a_pair",
            "source and segmentation part",
        ),
        (lambda g: replace(g, target=g.target.roll(3, -1)), "pair_stays_a_pair", "target and segmentation part"),
        (lambda g: replace(g, segmentation=g.segmentation + 1), "images", "the segmentation has labels"),
        (lambda g: replace(g, source=g.source * 0), "background", "not -1 any more"),
        (lambda g: replace(g, patients=()), "images", "patients or slices have changed"),
        (
            lambda g: replace(g, source=torch.where(g.source > -1, 0.9 * g.source, -1.0)),
            "categories",
            "a channel of categories holds numbers that were not there",
        ),
    ],
)
def test_wrong_transforms(change: Callable[[Group], Group], test: str, words: str) -> None:
    assert words in failure(transform(change), "transform", test)
