"""The tables of translators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from base_recipe import BASE
from gantk.errors import RecipeError
from gantk.recipe import load_recipe

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("rates", "complete"),
    [
        ("{ generator = 6e-4, discriminator = 3e-4 }", (6e-4, 6e-4, 3e-4)),
        ("{ heads = 1e-3 }", (2e-4, 1e-3, 2e-4)),
        ("{}", (2e-4, 2e-4, 2e-4)),
    ],
)
def test_every_part_has_a_rate(write: Write, rates: str, complete: tuple[float, ...]) -> None:
    text = BASE.replace("{ generator = 6e-4, discriminator = 3e-4 }", rates)
    found = load_recipe(write(text, "base.toml")).translators["a"].optimizer.rates
    assert tuple(found[part] for part in ("generator", "heads", "discriminator")) == complete


def test_updates_name_both_networks(base: Path) -> None:
    with pytest.raises(RecipeError, match="each at least once"):
        load_recipe(base, ['training.updates=["generator", "generator"]'])
    three = 'training.updates=["generator", "generator", "discriminator"]'
    assert load_recipe(base, [three]).training.updates == ("generator", "generator", "discriminator")
    with pytest.raises(RecipeError, match="once each"):
        load_recipe(base, [three, "training.accumulate=2"])
