"""Channels and sizes of networks are found before training: with few passes, and without memory for large networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from gantk.data.layout import Domain
from gantk.translation import Chain, Translator, shapes

Build = Callable[..., Any]

SMALL = [
    "data.crop=[16, 24]",
    "translators.generator.generator={use='unet', levels=3, channels=4}",
    "translators.generator.discriminator.channels=4",
]


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tensor]]:
    """The images that first layers receive; starts with an empty cache."""
    monkeypatch.setattr(shapes, "_FOUND", {})
    given: list[Tensor] = []
    hook = register_module_forward_pre_hook(
        lambda module, arguments: given.append(arguments[0]) if isinstance(module, nn.Conv2d) else None
    )
    yield given
    hook.remove()


def test_networks_alike_are_run_once(build: Build, images: list[Tensor]) -> None:
    build("pix2pix.toml", SMALL)
    once = len(images)
    assert once
    build(
        "pix2pix.toml", [*SMALL, "run.seed=1", "losses.pixelwise.weight=3", "translators.generator.optimizer.use=sgd"]
    )
    assert len(images) == once


@pytest.mark.parametrize(
    "other",
    [
        "data.crop=[24, 24]",
        "translators.generator.generator.levels=2",
        "translators.generator.discriminator.layers=1",
        "translators.generator.residual=t1",
        "data.batch.paired=2",
        'data.inputs=["t1", "t2"]',
    ],
)
def test_networks_or_images_that_differ_are_run_again(build: Build, images: list[Tensor], other: str) -> None:
    build("pix2pix.toml", [*SMALL, "evaluation.baselines=[]"])
    once = len(images)
    build("pix2pix.toml", [*SMALL, "evaluation.baselines=[]", other])
    assert len(images) > once


def test_layers_that_a_term_wants_besides_are_looked_for(build: Build, images: list[Tensor]) -> None:
    small = ["data.crop=[16, 24]", "translators.teacher.generator.channels=4"]
    layers = "losses.teacher_patchwise.layers=[0, 4, 12]"
    build("ds3_published.toml", small)
    with pytest.raises(Exception, match="does not offer the layers"):
        build("ds3_published.toml", [*small, layers.replace("12", "999")])
    built = build("ds3_published.toml", [*small, layers])
    assert set(built.translators["teacher"].heads["patch_nce"].layers) == {"0", "4", "12"}


def test_large_images_take_no_memory(build: Build, images: list[Tensor]) -> None:
    build("pix2pix.toml", [*SMALL, "data.crop=[512, 512]"])
    assert {image.device.type for image in images} == {"meta"}


def test_small_ones_need_nothing_that_torch_takes_seconds_to_load(build: Build, images: list[Tensor]) -> None:
    build("pix2pix.toml", SMALL)
    assert {image.device.type for image in images} == {"cpu"}


class Two(nn.Module):
    """A network that requires multiples of some size and does not declare it."""

    def __init__(self, multiple: int, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, channels, multiple, multiple)
        self.up = nn.ConvTranspose2d(channels, 3, multiple, multiple)

    def forward(self, image: Tensor) -> Tensor:
        return self.up(self.down(image)) + 0 * image  # fails where sizes differ


@pytest.mark.parametrize("channels", [4, 2**14], ids=["small", "large"])
def test_the_size_that_a_generator_takes_is_found(channels: int) -> None:
    domain = Domain("source", None, 3)
    chain = Chain({"x": Translator("x", domain, domain, Two(16, channels), None, False)}, "x")
    assert shapes.fitting_size(chain, (50, 37), (32, 32)) == (64, 48)
    assert shapes.fitting_size(chain, (32, 32), (32, 32)) == (32, 32)
    assert all(parameter.device.type == "cpu" for parameter in chain.parameters())


def test_a_generator_of_one_size_takes_no_other() -> None:
    class One(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.reshape(-1, 3, 32, 32)

    domain = Domain("source", None, 3)
    chain = Chain({"x": Translator("x", domain, domain, One(), None, False)}, "x")
    assert shapes.fitting_size(chain, (50, 37), (32, 32)) is None
    assert shapes.fitting_size(chain, (32, 32), (32, 32)) == (32, 32)
