"""Images made for trying networks: sizes, ranges, and what a seed decides."""

from __future__ import annotations

import pytest
import torch

from gantk.data.made import make_group, make_image, sizes_to_try


@pytest.mark.parametrize(
    ("size", "multiple"),
    [
        ((224, 224), 1),
        ((96, 80), 16),
        ((256, 192), 64),
        ((24, 96, 96), (1, 16, 16)),
        ((16, 16), 32),
    ],
)
def test_sizes_grow_to_the_one_that_is_sure_and_fit_the_multiple(size: tuple[int, ...], multiple: int) -> None:
    found = sizes_to_try(size, multiple)
    assert found[-1] == size
    assert len({*found}) == len(found)
    multiples = [multiple] * len(size) if isinstance(multiple, int) else multiple
    for small in found[:-1]:
        assert all(side % one == 0 for side, one in zip(small, multiples, strict=True))
        assert all(side <= whole for side, whole in zip(small, size, strict=True))


def test_an_image_is_background_outside_and_a_seed_decides_it() -> None:
    image = make_image(2, 3, (20, 24), seed=1)
    assert (tuple(image.shape), image.dtype) == ((2, 3, 20, 24), torch.float32)
    assert image[..., 0, 0].eq(-1).all()
    assert image[..., 10, 12].gt(-1).all()
    assert image.abs().max() <= 1
    assert torch.equal(image, make_image(2, 3, (20, 24), seed=1))
    assert not torch.equal(image, make_image(2, 3, (20, 24), seed=2))
    assert make_image(1, 1, (4, 20, 24), background=True).eq(-1).all()


def test_a_group_has_labels_inside_and_may_lack_a_side() -> None:
    group = make_group(2, 3, 1, (24, 32))
    assert sorted(group.segmentation.unique().tolist()) == [0, 1, 2, 4]
    assert group.foreground[group.segmentation > 0].all()
    assert not torch.equal(group.source[:, :1], group.target)
    assert make_group(inputs=0).source is None
    assert make_group(targets=0).target is None
    volume = make_group(1, 1, 1, (8, 24, 32)).segmentation.flatten(3).any(3)[0, 0]
    assert volume.tolist() == [False, False, True, True, True, True, False, False]
