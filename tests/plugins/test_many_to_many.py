"""DiamondGAN: the condition that its generator sees, and its terms against NumPy in double precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gantk import GantkError, Group, Moment, Translation, View
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Step
from gantk_baselines.generators import Resnet
from gantk_baselines.many_to_many import AvailabilityResnet
from gantk_baselines.missing import ModalityDropout

# --- the generator ----------------------------------------------------------------------------------------


def tiny(**options: Any) -> AvailabilityResnet:
    torch.manual_seed(0)
    return AvailabilityResnet(3, 1, channels=4, blocks=1, **options).double()


def masked(there: list[int]) -> Tensor:
    torch.manual_seed(1)
    image = torch.rand(2, 3, 12, 16, dtype=torch.float64) - 0.5
    return torch.where(torch.tensor(there)[:, None, None] > 0, image, -1.0)


def test_the_condition_is_added_behind_the_first_norm() -> None:
    network = tiny()
    for there in ([1, 0, 1], [0, 1, 0], [1, 1, 1]):
        image = masked(there)
        plain = network.layers[:3](image).detach().numpy()
        vector = network.condition.weight.detach().numpy() @ np.array(there, dtype=np.float64)
        features = network(image, (2, 3)).features
        wanted = plain + vector[None, :, None, None]
        np.testing.assert_allclose(features[2].detach().numpy(), wanted, rtol=1e-12)
        np.testing.assert_allclose(features[3].detach().numpy(), np.maximum(wanted, 0), rtol=1e-12)
        output = network.layers[3:](torch.from_numpy(wanted))
        torch.testing.assert_close(network(image), output, rtol=1e-12, atol=1e-12)


def test_constant_maps_beside_the_image_would_not_be_seen() -> None:
    """Why the condition is not appended to the input: instance norm takes constants out."""
    torch.manual_seed(0)
    plain = Resnet(6, 1, channels=4, blocks=1).double()
    image = masked([1, 1, 1])
    one, other = (torch.cat([image, torch.full_like(image, value)], dim=1) for value in (0, 1))
    torch.testing.assert_close(plain(one), plain(other), rtol=0, atol=1e-9)


def test_the_condition_reaches_the_output() -> None:
    network = tiny()
    image = masked([1, 0, 1])
    before = network(image).detach()
    with torch.no_grad():
        network.condition.weight[:, 1] += 5  # of the missing channel: nothing changes
        torch.testing.assert_close(network(image), before, rtol=0, atol=0)
        network.condition.weight[:, 0] += 0.5
    assert (network(image) - before).abs().max() > 1e-4
    network(image).square().sum().backward()
    gradient = network.condition.weight.grad.abs().sum(dim=0)
    assert gradient[0] > 0
    assert gradient[1] == 0


def test_without_condition_it_is_a_resnet() -> None:
    torch.manual_seed(0)
    plain = Resnet(3, 1, channels=4, blocks=1, antialias=False, init="normal").double()
    network = tiny(condition="none")
    network.load_state_dict(plain.state_dict())
    assert torch.equal(network(masked([1, 0, 1])), plain(masked([1, 0, 1])))


def test_features_come_from_one_pass_and_the_encoder_stops_early() -> None:
    network = tiny()
    image = masked([1, 1, 0])
    whole = network(image, tuple(range(len(network.layers))))
    assert isinstance(whole, Translation)
    assert torch.equal(whole.output, network(image))
    for last in (0, 1, 2, 3, 9):
        wanted = (0, last) if last else (0,)
        part = network(image, wanted, decode=False)
        assert part.output is None
        assert sorted(part.features) == sorted(set(wanted))
        assert all(torch.equal(part.features[layer], whole.features[layer]) for layer in wanted)
    with pytest.raises(GantkError, match="layer 99"):
        network(image, (99,))
    with pytest.raises(GantkError, match="multiples of 4"):
        network(image[..., :10])


# --- losses, in the shipped recipe ------------------------------------------------------------------------

TINY = ["data.crop=[16,16]"]
for _role in ("forward", "backward"):
    TINY += [f"translators.{_role}.{part}.channels=2" for part in ("generator", "discriminator")]
    TINY += [f"translators.{_role}.generator.blocks=1", f"translators.{_role}.discriminator.layers=1"]
THERE = torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=torch.bool)


def hidden(group: Group, there: Tensor) -> Group:
    return replace(group, source=torch.where(there[:, :, None, None], group.source, -1.0), target=None)


@pytest.fixture
def diamond(build: Callable[..., Any], make_group: Callable[..., Group]) -> Callable[..., View]:
    """The view of one of the recipe's terms, in double precision, with modalities missing."""

    def make(name: str, there: Tensor = THERE, overrides: tuple[str, ...] = (), targets: int = 2) -> View:
        built = build("diamondgan.toml", [*TINY, *overrides], spread=0.3)
        for translator in built.translators.values():
            translator.double()
        source = hidden(make_group(len(there), shape=(16, 16), seed=1, dtype=torch.float64), there)
        target = replace(make_group(targets, shape=(16, 16), seed=2, dtype=torch.float64), source=None)
        step = Step(built.translators, built.plan, {"source": source, "target": target})
        term = built.term(name)
        return View(step, term.role, term.group, term)

    return make


def loss_of(view: View) -> Any:
    assert view._term is not None
    return view._term.loss


def run(network: nn.Module, image: np.ndarray) -> np.ndarray:
    return network(torch.from_numpy(image)).detach().numpy()


def lacking(image: np.ndarray) -> np.ndarray:
    """The channels that are missing in the source group become background."""
    return np.where(THERE.numpy()[:, :, None, None], image, -1.0)


def test_the_cycle_of_the_sources_counts_what_is_there(diamond: Callable[..., View]) -> None:
    view = diamond("cycle_source")
    forth, back = (view.step.translators[role].generator for role in ("forward", "backward"))
    source = view.source.numpy()
    returned = run(back, run(forth, source))
    errors = [np.abs(returned[b, c] - source[b, c]).mean() for b in range(2) for c in range(3) if THERE[b, c]]
    assert len(errors) == 3
    assert loss_of(view)(view).item() == pytest.approx(np.mean(errors), rel=1e-12)


def test_the_cycle_of_the_targets_goes_through_what_is_there(diamond: Callable[..., View]) -> None:
    view = diamond("cycle_target")
    forth, back = (view.step.translators[role].generator for role in ("forward", "backward"))
    target = view.source.numpy()
    assert target.shape == (2, 1, 16, 16)
    returned = run(forth, lacking(run(back, target)))
    assert loss_of(view)(view).item() == pytest.approx(np.abs(returned - target).mean(), rel=1e-12)


def test_the_target_game_is_that_of_least_squares_with_a_soft_label(diamond: Callable[..., View]) -> None:
    view = diamond("adversarial_target", overrides=("losses.adversarial_target.pool=0",))
    judge, forth = view.translator.discriminator, view.translator.generator
    real = run(judge, view.step.group("target").target.numpy())
    fake = run(judge, run(forth, view.source.numpy()))
    assert loss_of(view)(view).item() == pytest.approx(((fake - 0.95) ** 2).mean(), rel=1e-12)
    wanted = 0.5 * (((real - 0.95) ** 2).mean() + (fake**2).mean())
    assert loss_of(view).discriminator(view).item() == pytest.approx(wanted, rel=1e-12)


def test_the_source_game_compares_images_of_one_availability(diamond: Callable[..., View]) -> None:
    view = diamond("adversarial_source", overrides=("losses.adversarial_source.pool=0",))
    judge, back = view.translator.discriminator, view.translator.generator
    real = run(judge, view.step.group("source").source.numpy())
    fake = run(judge, lacking(run(back, view.source.numpy())))
    assert loss_of(view)(view).item() == pytest.approx(((fake - 0.95) ** 2).mean(), rel=1e-12)
    wanted = 0.5 * (((real - 0.95) ** 2).mean() + (fake**2).mean())
    assert loss_of(view).discriminator(view).item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", ["adversarial_source", "cycle_target"])
def test_what_the_real_images_lack_gets_no_gradient(diamond: Callable[..., View], name: str) -> None:
    view = diamond(name)
    view.output.retain_grad()
    loss_of(view)(view).backward()
    gradient = view.output.grad.flatten(2).abs().sum(dim=2)
    assert (gradient[~THERE] == 0).all()
    assert (gradient[THERE] > 0).all()


def test_the_cycle_trains_both_translators(diamond: Callable[..., View]) -> None:
    view = diamond("cycle_source")
    loss_of(view)(view).backward()
    for translator in view.step.translators.values():
        # biases in front of an instance norm have none, up to rounding
        assert all(p.grad.any() for p in translator.generator.parameters() if p.ndim > 1)


def test_the_pool_keeps_images_as_they_are_judged(diamond: Callable[..., View]) -> None:
    """Without the channels that the real images lacked in their step."""
    view = diamond("adversarial_source", overrides=("losses.adversarial_source.pool=2",))
    loss_of(view).discriminator(view)
    fake = lacking(run(view.translator.generator, view.source.numpy()))
    np.testing.assert_allclose(view.translator.pool("adversarial_source").images.numpy(), fake, rtol=1e-6)


def test_the_discriminator_is_trained_on_what_the_pool_gives(diamond: Callable[..., View]) -> None:
    view = diamond("adversarial_source", overrides=("losses.adversarial_source.pool=2",))
    judge, pool = view.translator.discriminator, view.translator.pool("adversarial_source")
    real = run(judge, view.step.group("source").source.numpy())
    fake = lacking(run(view.translator.generator, view.source.numpy()))
    torch.manual_seed(0)
    past = torch.randn(pool.images.shape)
    values = []
    for give in (lambda: loss_of(view).discriminator(view), lambda: pool.exchange(torch.from_numpy(fake))):
        pool.images.copy_(past)
        pool.stored.fill_(2)
        torch.manual_seed(0)
        values.append(give())
    ours, shown = values[0].item(), values[1].numpy()
    assert not np.array_equal(shown, fake)
    wanted = 0.5 * (((real - 0.95) ** 2).mean() + (run(judge, shown) ** 2).mean())
    assert ours == pytest.approx(wanted, rel=1e-9)


def test_groups_of_other_sizes_are_refused(diamond: Callable[..., View]) -> None:
    view = diamond("cycle_target", targets=3)
    with pytest.raises(GantkError, match="give both batch groups the same size"):
        loss_of(view)(view)


def test_two_steps_of_the_recipe(build: Callable[..., Any], make_group: Callable[..., Group]) -> None:
    def train() -> tuple[list[Tensor], set[int]]:
        built = build("diamondgan.toml", TINY)
        assert any(isinstance(slot.component, ModalityDropout) for slot in built.assembly.transforms)
        optimizers = {role: Optimizers(t, built.assembly.optimizers[role]) for role, t in built.translators.items()}
        updater = Updater(built.translators, optimizers, built.plan, built.recipe.training, nullcontext)
        before = [p.clone() for t in built.translators.values() for p in t.parameters()]
        numbers = set()
        for step in range(3):
            torch.manual_seed(step)
            source = replace(make_group(4, shape=(16, 16), seed=step), target=None)
            target = replace(make_group(4, shape=(16, 16), seed=step + 9), source=None)
            batch = built.assembly.transformed({"source": source, "target": target}, Moment("training", 0, 20, step))
            numbers |= set(batch["source"].available.sum(dim=1).tolist())
            losses = updater.step([batch], {"forward": 1.0, "backward": 1.0})
            assert len(losses) == 6  # two cycles, two games of two sides
        after = [p for t in built.translators.values() for p in t.parameters()]
        assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True) if a.ndim > 1)
        return after, numbers

    (one, numbers), (other, _) = train(), train()
    assert len(numbers) > 1
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
