"""Regions of an image."""

from __future__ import annotations

import pytest
import torch

from gantk.data.batch import Group
from gantk.errors import EvaluationError
from gantk.evaluation.regions import region_mask


def test_regions_by_hand():
    source = torch.full((1, 2, 2, 2), -1.0)
    source[0, 1, 0, 0] = 0.3
    source[0, 0, 1, 1] = -0.9
    segmentation = torch.tensor([[[[4, 0], [0, 1]]]], dtype=torch.uint8)
    group = Group(source, source[:, :1], segmentation, ("p",), (0,))
    assert region_mask("image", group).flatten().tolist() == [True] * 4
    assert region_mask("brain", group).flatten().tolist() == [True, False, False, True]
    assert region_mask("body", group).flatten().tolist() == [True, False, False, True]
    assert region_mask("outside", group).flatten().tolist() == [False, True, True, False]
    assert region_mask("tumour", group).flatten().tolist() == [True, False, False, True]
    group.segmentation[0, 0, 0, 1] = 2
    assert region_mask("tumour", group).flatten().tolist() == [True, True, False, True]
    assert region_mask("tc", group).flatten().tolist() == [True, False, False, True]
    assert region_mask("et", group).flatten().tolist() == [True, False, False, False]
    bare = Group(source, source[:, :1], None, ("p",), (0,))
    assert not any(region_mask(name, bare).any() for name in ("tumour", "tc", "et"))
    with pytest.raises(EvaluationError, match="'tumour'"):
        region_mask("tumor", group)
