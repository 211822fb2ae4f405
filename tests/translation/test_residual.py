"""A translator that changes an input: where it starts, what it keeps, and what recipes may say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gantk import PluginError, RecipeError
from gantk.plugins import Registry
from gantk.recipe import load_recipe
from gantk.translation import Step, Translation, View, assemble
from gantk.translation.residual import Residual, bare


class Fixed(nn.Module):
    """A network whose output is `change` times a learned factor."""

    def __init__(self, change: float) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 1, 1, bias=False)
        self.change = change

    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        output = self.layer(torch.ones_like(image)) * self.change / 2
        return Translation(output if decode else None, {0: image}) if layers or not decode else output


def moved(change: float, start: float) -> Tensor:
    network = Fixed(change)
    residual = Residual(network, (1,), 2, (4, 4), "generator")
    nn.init.ones_(network.layer.weight)
    image = torch.full((1, 2, 4, 4), -0.5)
    image[:, 1] = start
    output: Tensor = residual(image)
    return output


@settings(deadline=None)
@given(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))
def test_a_change_moves_the_input_towards_the_nearer_end(change: float, start: float) -> None:
    end = 1.0 if change >= 0 else -1.0
    expected = start + abs(change) * (end - start)
    torch.testing.assert_close(moved(change, start), torch.full((1, 1, 4, 4), expected), atol=1e-6, rtol=0)


class Patient(Fixed):
    """A network that records the sizes of its images, and refuses sizes below `least`."""

    seen: ClassVar[list[int]]

    def __init__(self, least: int) -> None:
        super().__init__(0.5)
        self.least = least
        Patient.seen = []  # of its copies too

    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        Patient.seen.append(image.shape[-1])
        if image.shape[-1] < self.least:
            raise ValueError("too small")
        return super().forward(image, layers, decode)


@pytest.mark.parametrize(("least", "seen"), [(1, [32, 32]), (33, [32, 64, 64]), (224, [32, 64, 224, 224])])
def test_its_start_is_found_with_the_smallest_images_that_the_network_takes(least: int, seen: list[int]) -> None:
    network = Patient(least)
    Residual(network, (1,), 2, (224, 224), "generator")
    assert network.seen == seen
    assert not network.layer.weight.any()


def test_training_starts_at_the_input_and_background_stays() -> None:
    network = Fixed(0.5)
    residual = Residual(network, (1,), 2, (4, 4), "generator")
    image = torch.rand(2, 2, 4, 4) * 2 - 1
    image[:, :, 0] = -1
    assert torch.equal(residual(image), image[:, 1:])
    nn.init.ones_(network.layer.weight)
    assert torch.equal(residual(image)[:, :, 0], image[:, 1:, 0])
    assert not torch.equal(residual(image)[:, :, 1:], image[:, 1:, 1:])


def test_where_the_moved_input_alone_is_background_something_can_be_made() -> None:
    network = Fixed(0.5)
    residual = Residual(network, (1,), 2, (4, 4), "generator")
    nn.init.ones_(network.layer.weight)
    image = torch.full((1, 2, 4, 4), 0.3)
    image[:, 1] = -1
    torch.testing.assert_close(residual(image), torch.zeros(1, 1, 4, 4))


def test_features_are_those_of_the_network() -> None:
    residual = Residual(Fixed(0.5), (0,), 2, (4, 4), "generator")
    image = torch.rand(1, 2, 4, 4)
    output, features = residual(image, (0,))
    assert features[0] is image
    assert torch.equal(output, image[:, :1])
    assert residual(image, (0,), False).output is None


def test_the_first_step_has_a_gradient() -> None:
    residual = Residual(Fixed(0.5), (0,), 2, (4, 4), "generator")
    residual(torch.rand(1, 2, 4, 4)).sum().backward()
    gradient = next(residual.parameters()).grad
    assert gradient is not None
    assert bool(gradient.any())


def test_a_network_that_cannot_start_at_zero_is_refused() -> None:
    class Sigmoid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 1)

        def forward(self, image: Tensor) -> Tensor:
            return self.layer(image).sigmoid()

    with pytest.raises(PluginError, match=r"generator 'x' cannot start at zero.*residual"):
        Residual(Sigmoid(), (0,), 1, (4, 4), "generator 'x'")


class Several(nn.Module):
    """The mean of networks that end in layers of their own, in a given way."""

    def __init__(self, end: Any) -> None:
        super().__init__()
        self.members = nn.ModuleList(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), end()) for _ in range(3))

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([torch.tanh(member(image)) for member in self.members]).mean(0)


class Tokens(nn.Module):
    """A linear layer over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.linear(image.movedim(1, -1)).movedim(-1, 1)


@pytest.mark.parametrize("end", [lambda: nn.Conv2d(3, 1, 1), Tokens], ids=["convolution", "linear"])
@pytest.mark.parametrize("learns", [True, False])
def test_networks_beside_each_other_all_start_at_zero_and_keep_their_other_layers(end: Any, learns: bool) -> None:
    network = Several(end).requires_grad_(learns)
    residual = Residual(network, (1,), 2, (8, 8), "generator")
    image = torch.rand(2, 2, 8, 8)
    assert torch.equal(residual(image), image[:, 1:])
    for member in network.members:
        first, *last = (parameter.any() for name, parameter in member.named_parameters() if "weight" in name)
        assert first
        assert not any(last)


def test_of_two_factors_the_last_alone_starts_at_zero() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image, self.gate = nn.Conv2d(2, 1, 1), nn.Conv2d(2, 1, 1)

        def forward(self, image: Tensor) -> Tensor:
            return self.image(image) * self.gate(image)

    network = Gated()
    Residual(network, (1,), 2, (8, 8), "generator")
    assert network.image.weight.any()  # with both at zero, neither would ever have a gradient
    assert not network.gate.weight.any()


def test_a_recipe_says_which_input_is_changed(recipes: Path, registry: Registry) -> None:
    recipe = load_recipe(recipes / "cyclegan.toml", ["translators.b2a.residual=t1ce"])
    assembly = assemble(recipe, registry)
    image = torch.rand(1, 1, *recipe.data.crop)
    assert torch.equal(assembly.translators["b2a"].generator(image), image)
    assert not isinstance(assembly.translators["a2b"].generator, Residual)
    with pytest.raises(RecipeError, match=r"a2b.residual: the translator does not take 't1ce'.*mean 't1'"):
        assemble(load_recipe(recipes / "cyclegan.toml", ["translators.a2b.residual=t1ce"]), registry)


def test_the_own_slice_of_neighbours_is_changed(recipes: Path, registry: Registry) -> None:
    recipe = load_recipe(recipes / "pgan.toml", ["translators.generator.residual=t2"])
    assembly = assemble(recipe, registry)
    image = torch.rand(1, assembly.layout.size("source"), *recipe.data.crop)
    (own,) = assembly.layout.image("source", "t2")
    assert torch.equal(assembly.translators["generator"].eval().generator(image), image[:, own : own + 1])


def test_a_view_shows_the_image_that_is_changed(recipes: Path, registry: Registry, make_group: Any) -> None:
    recipe = load_recipe(recipes / "cyclegan.toml", ["translators.b2a.residual=t1ce"])
    assembly = assemble(recipe, registry)
    plan = assembly.plan("training", tuple(assembly.translators))
    group = make_group(2, 1, shape=(32, 32))
    step = Step(assembly.translators, plan, {"source": group, "target": group})
    view = View(step, "b2a", "target")
    assert torch.equal(view.start, group.target)
    assert view.start is view.start
    assert torch.equal(view.output, view.start)
    with pytest.raises(PluginError, match=r"'a2b' changes.*changes none.*residual.*translators.a2b"):
        View(step, "a2b", "source").start  # noqa: B018


def test_a_loss_that_wants_that_image_is_refused_where_there_is_none(recipes: Path, registry: Registry) -> None:
    plain = recipes / "ds3_published.toml"
    term = "losses.agreed={use='committee_distillation', on='student', group='unpaired', teachers=['teacher']}"
    with pytest.raises(RecipeError, match=r"losses.agreed.on: .* 'student' changes, but 'student' changes none.*'t1'"):
        assemble(load_recipe(plain, [term]), registry)
    assert assemble(load_recipe(plain, [term, "translators.teacher.residual=t1"]), registry).terms


def test_copies_between_roles_look_through_it() -> None:
    residual = Residual(Fixed(0.5), (0,), 2, (4, 4), "generator")
    assert isinstance(bare(residual), Fixed)
    assert bare(bare(residual)) is bare(residual)
