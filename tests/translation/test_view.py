"""The members of a view for terms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gantk.translation import Step, View


def test_images_that_recipes_name(step: Callable[..., Step]) -> None:
    here = step()
    view = View(here, "one", "unpaired")
    paired = here.batch["paired"]
    assert view.image("paired.target") is paired.target
    assert view.image("paired.source") is paired.source
    assert view.image("source") is here.batch["unpaired"].source
    assert View(here, "one", "paired").image("target") is paired.target
    answer = view.image("one.output")
    assert not answer.requires_grad
    assert torch.equal(answer, view.output)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_judged_image_comes_with_its_own_source(step: Callable[..., Step], conditional: bool) -> None:
    here = step(conditional)
    view = View(here, "one", "unpaired")
    seen: list[Tensor] = []
    here.translators["one"].discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    view.judge_image("paired.target")
    view.judge()
    paired, unpaired = here.batch["paired"], here.batch["unpaired"]
    expected = [(paired.source, paired.target), (unpaired.source, view.output)]
    for given, (source, image) in zip(seen, expected, strict=True):
        assert torch.equal(given, torch.cat([source, image], dim=1) if conditional else image)


def test_an_output_takes_the_sources_shape(step: Callable[..., Step]) -> None:
    view = View(step(), "one", "paired")
    repeated, first = view.as_source(view.output), view.as_source(view.output, "first")
    assert torch.equal(repeated, torch.cat([view.output] * 3, dim=1))
    assert torch.equal(first, torch.cat([view.output, view.source[:, 1:]], dim=1))
    assert view.as_source(view.source) is view.source
