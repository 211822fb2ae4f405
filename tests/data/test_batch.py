"""Groups of slices: foreground, what is there, parts."""

from __future__ import annotations

import pytest
import torch

from gantk.data.batch import Group
from gantk.data.layout import Domain


def group(**more: object) -> Group:
    source = torch.full((4, 3, 2, 2), -1.0)
    source[:, 0, 0, 0] = 0.5
    source[2:, 1, 1, 1] = 0.5
    target = torch.full((4, 1, 2, 2), -1.0)
    target[:, 0, 1] = 0.0
    fields = {
        "source": source,
        "target": target,
        "segmentation": None,
        "patients": tuple("abcd"),
        "slices": (1, 2, 3, 4),
    }
    return Group(**{**fields, **more})


def test_foreground_is_where_an_own_channel_is_above_the_background() -> None:
    assert group().foreground.flatten(1).sum(1).tolist() == [1, 1, 2, 2]
    assert group(own=(1,)).foreground.flatten(1).sum(1).tolist() == [0, 0, 1, 1]
    assert group(source=None).foreground.flatten(1).sum(1).tolist() == [2, 2, 2, 2]
    with pytest.raises(ValueError, match="no foreground"):
        _ = group(source=None, target=None).foreground


def test_channels_that_are_there_and_those_that_hold_categories() -> None:
    assert group().available.tolist() == [[True, False, False]] * 2 + [[True, True, False]] * 2
    assert group(categories=(2,)).named.flatten().tolist() == [False, False, True]
    for what in ("available", "named"):
        with pytest.raises(ValueError, match="no source channels"):
            getattr(group(source=None), what)


def test_images_of_a_domain() -> None:
    one = group()
    assert one.image(Domain("target", None, 1)) is one.target
    shown = one.image(Domain("source", (2, 0), 2))
    assert torch.equal(shown, one.source[:, [2, 0]])
    assert group(target=None).image(Domain("target", None, 1)) is None


def test_parts_are_the_whole_again() -> None:
    one = group(extra={"site": torch.arange(4)})
    parts = [one.part(i, 2) for i in range(2)]
    assert [part.patients for part in parts] == [("a", "b"), ("c", "d")]
    assert [part.subjects for part in parts] == [("a", "b"), ("c", "d")]
    assert [len(part) for part in parts] == [2, 2]
    for name in ("source", "target"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(one, name))
    assert [part.extra["site"].tolist() for part in parts] == [[0, 1], [2, 3]]


def test_a_mirrored_group_is_mirrored_in_all_its_images() -> None:
    labels = torch.arange(16, dtype=torch.uint8).reshape(4, 1, 2, 2)
    whole = group(segmentation=labels, extra={"map": labels + 1, "site": torch.arange(4)})
    other = whole.mirrored()
    assert torch.equal(other.segmentation, labels[..., [1, 0]])
    assert torch.equal(other.extra["map"], labels[..., [1, 0]] + 1)
    assert torch.equal(other.target, whole.target[..., [1, 0]])
    assert other.source[0, 0].tolist() == [[-1, 0.5], [-1, -1]]
    assert torch.equal(other.extra["site"], torch.arange(4))
    assert (other.patients, other.slices) == (whole.patients, whole.slices)
