"""The smallest recipe in which a loss or a weight map works: its inputs and its outputs."""

from __future__ import annotations

from unittest import SkipTest

import pytest
import torch
from torch import Tensor

from gantk import ImageRef, Needs, Role, View
from gantk.plugins import Component
from gantk.testing.bench import Bench, MeanError, TinyDiscriminator, TinyGenerator


class Following:
    """A loss that asks another translator, and the way back from a third."""

    def __init__(self, teacher: Role, back: Role, of: ImageRef = ImageRef("target")) -> None:
        self.needs = Needs(roles=(teacher,), target=True)
        self.teacher, self.back, self.of = teacher, back, of

    def __call__(self, view: View) -> Tensor:
        there = view.translate(role=self.teacher, grad=False)
        return (view.translate(view.output, self.back) - view.source).abs().mean() + (there - view.output).abs().mean()


class Judging:
    """A loss with only a discriminator loss, which draws random numbers."""

    def discriminator(self, view: View) -> Tensor:
        return (view.judge(view.target).mean() - view.judge(view.fake).mean()) * torch.rand(())


class Halves:
    """A weight map."""

    def __call__(self, view: View) -> Tensor:
        return torch.full_like(view.source[:, :1], 0.5)


def bench(kind: str, cls: type, parameters: dict[str, object] | None = None, **options: object) -> Bench:
    return Bench(Component("it", kind, cls, "mine", "1"), parameters or {}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(24, 32), (8, 12, 16)])
def test_a_loss_in_a_step_of_tiny_networks(size: tuple[int, ...]) -> None:
    made = bench("loss", MeanError, inputs=("a", "b"), targets=("c", "d"), size=size)
    view = made.view()
    assert view.source.shape == (2, 2, *size)
    assert view.target.shape == view.output.shape == (2, 2, *size)
    expected = (view.target - made.own(view.source)).abs().mean()
    assert made.value().item() == pytest.approx(expected.item(), rel=1e-6)
    assert isinstance(made.own, TinyGenerator)
    assert isinstance(made.discriminator, TinyDiscriminator)


def test_named_roles_are_there_and_lead_where_they_must() -> None:
    made = bench("loss", Following, {"teacher": "t", "back": "b"}, inputs=("a", "x"), targets=("c",))
    assert set(made.translators) == {"generator", "t", "b"}
    sizes = {role: (one.takes.size, one.gives.size) for role, one in made.translators.items()}
    assert sizes == {"generator": (2, 1), "t": (2, 1), "b": (1, 2)}
    made.value().backward()


def test_a_weight_map_weighs_the_term() -> None:
    made = bench("weight_map", Halves)
    assert (made.weight() == 0.5).all()
    view = made.view()
    assert made.value().item() == pytest.approx(0.5 * (view.target - view.output).abs().mean().item(), rel=1e-6)


def test_a_side_that_is_absent_is_skipped_and_the_seed_decides_the_other() -> None:
    made = bench("loss", Judging)
    with pytest.raises(SkipTest, match="no generator's side"):
        made.value()
    assert made.discriminator_value(1).item() == made.discriminator_value(1).item()
    assert made.discriminator_value(1).item() != made.discriminator_value(2).item()


def test_training_moves_the_networks_and_gives_the_terms_values() -> None:
    made = bench("loss", MeanError)
    before = made.value().item()
    values = made.train(20)
    assert len(values) == 20
    assert list(values[0]) == ["generator/term"]
    assert values[0]["generator/term"] == pytest.approx(before)
    assert made.value().item() < before


def test_a_modality_that_is_input_and_target_is_hidden_so_that_there_is_something_to_make() -> None:
    made = bench("loss", MeanError, inputs=("a", "b"), targets=("a", "b"))
    group = made.batch["paired"]
    shown = (group.source > -1).flatten(2).any(2)
    assert (~shown).any()
    assert shown.any(dim=1).all(), "no image is without any input"
    for image, channel in shown.nonzero().tolist():
        assert torch.equal(group.source[image, channel], group.target[image, channel])


def test_background_is_nothing_but_background() -> None:
    made = bench("loss", MeanError, background=True)
    assert (made.view().source == -1).all()
    assert (made.view().target == -1).all()
