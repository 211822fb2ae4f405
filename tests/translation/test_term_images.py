"""The images of a step for one term, before any network works on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gantk.errors import PluginError, TrainingError
from gantk.translation import Step
from gantk.translation.term_images import TermImages
from small_methods import NETWORK, begin


def test_images_are_those_of_its_group(step: Callable[..., Step]) -> None:
    here = step()
    for name in ("paired", "unpaired"):
        images, group = TermImages(here, "one", name), here.batch[name]
        assert images.group is group
        assert images.source is group.source
        assert images.segmentation is group.segmentation
        assert torch.equal(images.foreground, (group.source > -1).any(1, keepdim=True))
    assert TermImages(here, "one", "paired").target is here.batch["paired"].target
    with pytest.raises(TrainingError, match="'unpaired' has no target"):
        TermImages(here, "one", "unpaired").target  # noqa: B018
    assert TermImages(here, "one", "paired").translator is here.translators["one"]
    assert TermImages(here, "one", "paired").moment is here.moment


def test_channels_without_any_pixel_are_missing(step: Callable[..., Step]) -> None:
    here = step()
    here.batch["paired"].source[1, 2] = -1
    assert TermImages(here, "one", "paired").available.tolist() == [[True] * 3, [True, True, False]]


def test_without_a_segmentation_there_is_none(step: Callable[..., Step]) -> None:
    here = step()
    here.batch["paired"].segmentation = None
    with pytest.raises(TrainingError, match="the batch group 'paired' has no segmentation"):
        TermImages(here, "one", "paired").segmentation  # noqa: B018


def test_the_image_that_is_changed_is_asked_of_those_who_change_one(made: Any, make_group: Any) -> None:
    losses = {"a": {"use": "my-mean", "on": "one"}}
    plain = begin(made(losses), make_group)
    with pytest.raises(PluginError, match=r"'one' changes, but it changes none.*residual = MODALITY"):
        TermImages(plain, "one", "paired").start  # noqa: B018
    changing = begin(made(losses, {"one": {"generator": NETWORK, "residual": "t2"}}), make_group)
    images = TermImages(changing, "one", "paired")
    assert torch.equal(images.start, images.source[:, 1:2])
    assert images.start is images.start


def test_each_translator_changes_its_own_image(made: Any, make_group: Any) -> None:
    losses = {"a": {"use": "my-mean", "on": "one"}, "b": {"use": "my-mean", "on": "two"}}
    networks = {role: {"generator": NETWORK, "residual": name} for role, name in (("one", "t1"), ("two", "flair"))}
    for order in (("one", "two"), ("two", "one")):
        here = begin(made(losses, networks), make_group)
        starts = {role: TermImages(here, role, "paired").start for role in order}
        source = here.batch["paired"].source
        assert torch.equal(starts["one"], source[:, :1])
        assert torch.equal(starts["two"], source[:, 2:])


def test_a_mirrored_view_is_mirrored_whole_and_once(step: Callable[..., Step]) -> None:
    here = step()
    images = TermImages(here, "one", "paired")
    other = images.mirrored()
    assert type(other) is TermImages
    assert other.role == "one"
    for name in ("source", "target", "segmentation", "foreground"):
        assert torch.equal(getattr(other, name), getattr(images, name).flip(-1))
    assert images.mirrored().source is other.source
    assert torch.equal(other.mirrored().source, images.source)
