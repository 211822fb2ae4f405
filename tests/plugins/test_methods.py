"""What StarGAN, MUNIT and RegGAN compute, against the equations and by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gantk.plugins import Component
from gantk.testing.bench import Bench
from gantk_baselines.munit import Munit, MunitGenerator
from gantk_baselines.registration import Registration, warped
from gantk_baselines.stargan import StarGan, StarGanDiscriminator
from tiny_networks import TinyMunit, TinyStarGan, TinyTold


@pytest.mark.parametrize(("x", "y"), [(1, 0), (0, 2), (-3, 1)])
def test_an_image_is_moved_by_pixels_x_before_y(x: int, y: int) -> None:
    image = torch.rand(2, 1, 9, 12)
    moved = warped(image, torch.tensor([float(x), float(y)])[None, :, None, None].expand(2, 2, 9, 12))
    wanted = F.pad(image, (4, 4, 4, 4), mode="replicate")[..., 4 + y : 13 + y, 4 + x : 16 + x]
    assert torch.allclose(moved, wanted, atol=1e-5)


def test_a_registration_begins_at_nothing_and_learns_a_shift() -> None:
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    blob = torch.exp(-((rows - 8) ** 2 + (columns - 8) ** 2) / 12)[None, None]
    fixed = blob.roll(2, dims=3)
    network = Registration(1, 4, 2, reach=4.0)
    assert not network(blob, fixed).any()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        (warped(blob, network(blob, fixed)) - fixed).square().mean().backward()
        optimizer.step()
    inside = fixed > 0.3
    found = network(blob, fixed)[:, :1][inside].mean().item()
    assert -3 < found < -1  # y(p) = x(p + φ): what was moved by 2 to the right is 2 to the left


def bench(loss: type, parameters: dict[str, Any], **options: Any) -> Bench:
    return Bench(Component("it", "loss", loss, "mine", "1"), parameters, inputs=("a",), **options)


def test_munits_loss_is_that_of_its_equations() -> None:
    made = bench(Munit, {"back": "back", "image": 7.0, "content": 3.0, "style": 2.0}, generator=TinyMunit)
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


def test_stargan_translates_between_all_modalities() -> None:
    extra = {"domain": {"categories": ["a", "c"]}}
    made = bench(StarGan, {}, generator=TinyTold, discriminator=TinyStarGan, extra=extra, batch=64)
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
