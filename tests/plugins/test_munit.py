"""MUNIT against its equations."""

from __future__ import annotations

import pytest
import torch

from gantk.plugins import Component
from gantk.testing.bench import Bench
from gantk_baselines.munit import Munit, MunitGenerator
from tiny_networks import TinyMunit


def test_munits_loss_is_that_of_its_equations() -> None:
    made = Bench(
        Component("it", "loss", Munit, "mine", "1"),
        {"back": "back", "image": 7.0, "content": 3.0, "style": 2.0},
        inputs=("a",),
        generator=TinyMunit,
    )
    own, back = (made.translators[role] for role in ("generator", "back"))
    value = made.value(seed=5)
    view = made.view()
    torch.manual_seed(5)
    x, y = view.source, view.target
    there: MunitGenerator = own.generator
    content, style = there.content(x), there.styles(x)
    drawn = torch.randn(2, 4)
    fake = there(x, content=content, style=drawn)
    again = back.generator(y, content=content, style=style.flatten(1))
    score = ((own.discriminator(fake) - 1) ** 2).mean()
    codes = (back.generator.content(fake) - content).abs().mean(), (back.generator.styles(fake)[:, :, 0, 0] - drawn)
    wanted = score + 7 * (again - x).abs().mean() + 3 * codes[0] + 2 * codes[1].abs().mean()
    assert value.item() == pytest.approx(wanted.item(), rel=1e-5)
    value.backward()
    assert all(p.grad is not None for p in there.styles.parameters())
