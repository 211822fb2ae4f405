"""Mistakes that authors of discriminators make are found, and named."""

from __future__ import annotations

from mistakes import Discriminator, changed, failure


def test_discriminators_without_second_order() -> None:
    rough = changed(Discriminator, lambda scores, image: scores.detach() * image.mean())
    assert "gradient" in failure(rough, "discriminator", "second_order", features=())
    flat = changed(Discriminator, lambda scores, _: scores.mean((1, 2, 3)))
    assert "return a map of scores" in failure(flat, "discriminator", "output", features=())
