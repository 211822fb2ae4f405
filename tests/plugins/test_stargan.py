"""StarGAN: all pairs of modalities, and the classification of the domain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gantk.plugins import Component
from gantk.testing.bench import Bench
from gantk_baselines.stargan import StarGan, StarGanDiscriminator
from tiny_networks import TinyStarGan, TinyTold


def test_stargan_translates_between_all_modalities() -> None:
    extra = {"domain": {"categories": ["a", "c"]}}
    made = Bench(
        Component("it", "loss", StarGan, "mine", "1"),
        {},
        inputs=("a",),
        generator=TinyTold,
        discriminator=TinyStarGan,
        extra=extra,
        batch=64,
    )
    torch.manual_seed(0)
    view = made.view()
    image, origin, wanted = StarGan.drawn(view)
    every = torch.stack([view.group.source, view.group.target], dim=1)
    for number in range(64):
        assert torch.equal(image[number], every[number, origin[number].argmax()])
    pairs = {(o.argmax().item(), w.argmax().item()) for o, w in zip(origin, wanted, strict=True)}
    assert pairs == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert StarGan.drawn(view)[0] is image  # both sides of a step see one draw


def test_a_discriminator_guesses_the_domain() -> None:
    torch.manual_seed(0)
    judge = StarGanDiscriminator(1, domains=2, channels=4, levels=2)
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.01)
    images = torch.cat([torch.full((4, 1, 8, 8), -0.5), torch.full((4, 1, 8, 8), 0.5)]) + 0.1 * torch.randn(8, 1, 8, 8)
    labels = torch.tensor([0] * 4 + [1] * 4)

    def guess() -> Tensor:
        return judge(images, (0,)).features[0].flatten(1)

    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(guess(), labels).backward()
        optimizer.step()
    assert torch.equal(guess().argmax(1), labels)
