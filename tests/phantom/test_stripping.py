"""Skull stripping and its mistakes."""

from __future__ import annotations

from gantk.phantom.subject import Model


def test_skull_stripping_leaves_or_takes_bits(models: list[Model]) -> None:
    left = [sum(m.content.apart[n] for n in ("dura", "fat", "bone")).mean() for m in models]
    assert max(left) > 1.5 * min(left)
    for model in models:
        apart = sum(model.content.apart.values())
        assert apart.min() >= 0
        assert apart.max() <= 1 + 1e-5
