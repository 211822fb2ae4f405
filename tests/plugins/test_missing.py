"""Missing modalities: which are drawn, and MM-GAN's networks and losses against NumPy in double precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gantk import GantkError, Group, Moment, View
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Step
from gantk_baselines.generators import Unet
from gantk_baselines.missing import ModalityDropout, ModalityPatchGan, scenarios_of
from tiny_networks import count

MMGAN = [(0, 10), (11, 7), (21, 3), (31, 0)]  # the published code's curriculum


def moment(epoch: int = 0) -> Moment:
    return Moment("training", epoch, 60, 0)


def images(batch: int, modalities: int, planes: int = 1) -> Group:
    """Slices without any background."""
    source = torch.rand(batch, modalities * planes, 3, 4) - 0.5
    return Group(source, source[:, planes // 2 :: planes], None, ("p",) * batch, (0,) * batch)


# --- scenarios --------------------------------------------------------------------------------------------


def test_the_fourteen_scenarios_of_four_modalities() -> None:
    """The hardest first; from 10 on one modality is missing, from 4 on two."""
    found = scenarios_of(4)
    assert len(found) == 14
    assert [sum(scenario) for scenario in found] == [1] * 4 + [2] * 6 + [3] * 4
    assert found[0] == (0, 0, 0, 1)
    assert found[7] == (1, 0, 0, 1)
    assert found[13] == (1, 1, 1, 0)
    assert scenarios_of(3, complete=True) == [*scenarios_of(3), (1, 1, 1)]
    assert len(scenarios_of(3, complete=True)) == 7  # DiamondGAN's


@settings(max_examples=40, deadline=None)
@given(
    modalities=st.integers(2, 5),
    planes=st.sampled_from([1, 3]),
    batch=st.integers(1, 4),
    per=st.sampled_from(["batch", "sample"]),
    complete=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_what_is_hidden(modalities: int, planes: int, batch: int, per: Any, complete: bool, seed: int) -> None:
    group = images(batch, modalities, planes)
    before = group.source.clone()
    dropout = ModalityDropout(per=per, complete=complete, planes=planes)
    torch.manual_seed(seed)
    changed = dropout(group, moment())
    torch.manual_seed(seed)
    assert torch.equal(dropout(group, moment()).source, changed.source)  # the seed decides alone
    assert torch.equal(group.source, before)
    assert changed.target is group.target
    there = changed.available
    kept = there.view(batch, modalities, planes)
    assert (kept == kept[:, :, :1]).all()  # neighbouring slices go together
    number = kept[:, :, 0].sum(dim=1)
    assert (number >= 1).all()
    assert (number <= modalities - (not complete)).all()
    assert per == "sample" or (there == there[:1]).all()
    assert torch.equal(changed.source[there], before[there])
    assert (changed.source[~there] == -1).all()


@pytest.mark.parametrize(("epoch", "least"), [(0, 10), (10, 10), (11, 7), (20, 7), (21, 3), (31, 0), (59, 0)])
def test_every_scenario_of_a_curriculums_epoch_is_drawn_evenly(epoch: int, least: int) -> None:
    dropout = ModalityDropout(curriculum=MMGAN, per="sample")
    torch.manual_seed(3)
    draws = 2800
    there = dropout(images(draws, 4), moment(epoch)).available.int().tolist()
    table = scenarios_of(4)
    frequencies = np.bincount([table.index(tuple(row)) for row in there], minlength=14) / draws
    expected = np.where(np.arange(14) >= least, 1 / (14 - least), 0)
    deviation = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(frequencies - expected) <= 4.5 * deviation).all()


def test_explicit_scenarios() -> None:
    dropout = ModalityDropout(scenarios=[[1, 0, 1], [1, 1, 0]], curriculum=[(2, 1)], per="sample")
    torch.manual_seed(0)
    early, late = (dropout(images(40, 3), moment(epoch)).available.int().tolist() for epoch in (1, 2))
    assert {tuple(row) for row in early} == {(1, 0, 1), (1, 1, 0)}
    assert {tuple(row) for row in late} == {(1, 1, 0)}


def test_what_a_patient_lacks_stays_missing_and_something_remains() -> None:
    group = images(200, 3)
    group.source[:, 1:] = -1  # t1 alone
    changed = ModalityDropout(per="sample")(group, moment())
    assert torch.equal(changed.source, group.source)


def test_a_group_without_source_is_left_alone() -> None:
    group = replace(images(2, 3), source=None)
    assert ModalityDropout()(group, moment()) is group


@pytest.mark.parametrize(
    ("parameters", "modalities", "said"),
    [
        ({}, 1, "there is none to draw"),
        ({"scenarios": [[1, 0]]}, 3, "one 0 or 1 per modality"),
        ({"scenarios": [[0, 0, 0]]}, 3, "at least one available modality"),
        ({"curriculum": [(0, 14)]}, 4, "begins at scenario 14 of 14"),
        ({"planes": 3}, 4, "4 channels are not a multiple of planes = 3"),
    ],
)
def test_scenarios_that_do_not_fit(parameters: dict[str, Any], modalities: int, said: str) -> None:
    dropout = ModalityDropout(**parameters)
    with pytest.raises(GantkError, match=said):
        dropout(images(2, modalities), moment())


def test_a_curriculum_ascends() -> None:
    with pytest.raises(GantkError, match="do not ascend"):
        ModalityDropout(curriculum=[(5, 3), (5, 0)])


# --- networks ---------------------------------------------------------------------------------------------


def test_published_sizes() -> None:
    with torch.device("meta"):
        generator = Unet(4, 4, norm="instance", bias=False, dropout=0.2, encoder_dropout=0.2)
        discriminator = ModalityPatchGan(8, 4)
        assert count(generator) == 54_407_172
        assert count(discriminator) == 2_794_432
        assert discriminator(torch.zeros(1, 8, 256, 256)).shape == (1, 4, 16, 16)
    dropouts = [layer.p for layer in generator.modules() if isinstance(layer, nn.Dropout)]
    assert dropouts == [0.2] * 8  # levels 4 to 8 down, 7 to 5 up
    biased = [layer for layer in generator.modules() if getattr(layer, "bias", None) is not None]
    assert biased == [generator.up[-1][1]]


def test_the_last_convolution_pads_two_at_the_top_and_left_and_one_below_and_right() -> None:
    torch.manual_seed(0)
    network = ModalityPatchGan(1, 2, channels=3, layers=1).double()
    image = torch.rand(1, 1, 10, 12, dtype=torch.float64)
    features = network.layers[:2](image)[0].detach().numpy()  # convolution and LeakyReLU: no norm in the first block
    padded = np.pad(features, [(0, 0), (2, 1), (2, 1)])
    weight = network.layers[-1].weight.detach().numpy()
    windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(1, 2))
    expected = np.einsum("chwij,tcij->thw", windows, weight)
    np.testing.assert_allclose(network(image)[0].detach().numpy(), expected, rtol=1e-12)


def test_an_image_that_does_not_fit() -> None:
    with pytest.raises(GantkError, match="16"):
        ModalityPatchGan(2, 1, channels=2)(torch.zeros(1, 2, 12, 16))


# --- losses, in the shipped recipe ------------------------------------------------------------------------

TINY = [
    "data.crop=[16,16]",
    "translators.generator.generator.channels=2",
    "translators.generator.generator.levels=2",
    "translators.generator.generator.dropout=0.0",
    "translators.generator.discriminator.channels=2",
    "translators.generator.discriminator.layers=2",
]
THERE = torch.tensor([[1, 0, 1, 0], [1, 1, 1, 0]], dtype=torch.bool)


def hidden(group: Group, there: Tensor) -> Group:
    """Source and target of one set of modalities, the source only as far as it is there."""
    return replace(group, source=torch.where(there[:, :, None, None], group.source, -1.0), target=group.source)


@pytest.fixture
def mmgan(build: Callable[..., Any], make_group: Callable[..., Group]) -> Callable[..., View]:
    """The view of one of the recipe's terms, in double precision, with modalities missing."""

    def make(name: str, there: Tensor = THERE, overrides: tuple[str, ...] = (), change: Any = None) -> View:
        built = build("mmgan.toml", [*TINY, *overrides], spread=0.3)
        for translator in built.translators.values():
            translator.double()
        group = hidden(make_group(len(there), inputs=4, shape=(16, 16), dtype=torch.float64), there)
        step = Step(built.translators, built.plan, {"paired": change(group) if change else group})
        return View(step, "generator", "paired", built.term(name))

    return make


def loss_of(view: View) -> Any:
    assert view._term is not None
    return view._term.loss


def parts(view: View) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """The discriminator beside its condition on arrays, the real images, and the output with the real ones in place."""
    network = view.translator.discriminator
    real = view.target.numpy()
    output = view.translator.generator(view.source).detach().numpy()
    there = (view.source.numpy() > -1).any(axis=(2, 3))[:, :, None, None]

    def judge(image: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(np.concatenate([real, image], axis=1))).detach().numpy()

    return judge, real, there * real + (1 - there) * output, there


def test_l1_counts_the_missing_modalities_alone(mmgan: Callable[..., View]) -> None:
    view = mmgan("pixelwise")
    real = view.target.numpy()
    output = view.translator.generator(view.source).detach().numpy()
    errors = [np.abs(output[b, c] - real[b, c]).mean() for b in range(2) for c in range(4) if not THERE[b, c]]
    assert len(errors) == 3
    assert loss_of(view)(view).item() == pytest.approx(np.mean(errors), rel=1e-12)


def lacking(group: Group) -> Group:
    """The first patient has no fourth modality at all: its target is not known."""
    target = group.target.clone()
    target[0, 3] = -1
    return replace(group, target=target)


def test_what_a_patient_lacks_does_not_count(mmgan: Callable[..., View]) -> None:
    view = mmgan("pixelwise", change=lacking)
    output, real = view.output.detach().numpy(), view.target.numpy()
    errors = [np.abs(output[b, c] - real[b, c]).mean() for b, c in ((0, 1), (1, 3))]
    assert loss_of(view)(view).item() == pytest.approx(np.mean(errors), rel=1e-12)
    view = mmgan("adversarial", change=lacking)
    judge, real, imputed, there = parts(view)
    counts = np.ones((2, 4), bool)
    counts[0, 3] = False
    fake, true = judge(imputed), judge(real)
    assert loss_of(view)(view).item() == pytest.approx(((fake - 1) ** 2)[counts].mean(), rel=1e-12)
    wanted = 0.5 * (((true - 1) ** 2)[counts].mean() + ((fake - there) ** 2)[counts].mean())
    assert loss_of(view).discriminator(view).item() == pytest.approx(wanted, rel=1e-12)


def test_l1_is_0_where_nothing_is_missing(mmgan: Callable[..., View]) -> None:
    view = mmgan("pixelwise", torch.ones(2, 4, dtype=torch.bool))
    assert loss_of(view)(view).item() == 0


def test_both_sides_of_the_game(mmgan: Callable[..., View]) -> None:
    view = mmgan("adversarial")
    judge, real, imputed, there = parts(view)
    fake = judge(imputed)
    assert fake.shape == (2, 4, 4, 4)
    assert loss_of(view)(view).item() == pytest.approx(((fake - 1) ** 2).mean(), rel=1e-12)
    wanted = 0.5 * (((judge(real) - 1) ** 2).mean() + ((fake - there) ** 2).mean())
    assert loss_of(view).discriminator(view).item() == pytest.approx(wanted, rel=1e-12)


def test_the_discriminator_may_be_given_what_the_generator_sees(mmgan: Callable[..., View]) -> None:
    view = mmgan("adversarial", overrides=('losses.adversarial.condition="source"',))
    _, _, imputed, _ = parts(view)
    given = torch.cat([view.source, torch.from_numpy(imputed)], dim=1)
    fake = view.translator.discriminator(given).detach().numpy()
    assert loss_of(view)(view).item() == pytest.approx(((fake - 1) ** 2).mean(), rel=1e-12)


@pytest.mark.parametrize("name", ["pixelwise", "adversarial"])
def test_outputs_of_what_is_there_get_no_gradient(mmgan: Callable[..., View], name: str) -> None:
    view = mmgan(name)
    view.output.retain_grad()
    loss_of(view)(view).backward()
    gradient = view.output.grad.flatten(2).abs().sum(dim=2)
    assert (gradient[THERE] == 0).all()
    assert (gradient[~THERE] > 0).all()


def test_each_side_trains_its_own_network(mmgan: Callable[..., View]) -> None:
    view = mmgan("adversarial")
    loss_of(view).discriminator(view).backward()
    assert all(p.grad is None for p in view.translator.generator.parameters())
    assert all(p.grad is not None for p in view.translator.discriminator.parameters())


def test_what_is_there_changes_the_output(mmgan: Callable[..., View]) -> None:
    one, other = mmgan("pixelwise"), mmgan("pixelwise", THERE.flip(0))
    assert (one.output - other.output).abs().max() > 1e-3


def test_neighbouring_slices_are_no_modalities(mmgan: Callable[..., View]) -> None:
    def deepen(group: Group) -> Group:
        noise = torch.where(THERE[:, :, None, None], 0.1, -1.0).to(group.source.dtype).expand_as(group.source)
        return replace(group, source=torch.stack([noise, group.source, noise], dim=2).flatten(1, 2))

    view = mmgan("pixelwise", overrides=("data.neighbours=1",), change=deepen)
    assert view.source.shape[1] == 12
    error = (view.target - view.output).abs().mean(dim=(2, 3))
    assert loss_of(view)(view).item() == pytest.approx(error[~THERE].mean().item(), rel=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        lambda group: replace(group, target=group.target.flip(1)),  # another order
        lambda group: replace(group, target=-group.target),  # other images
    ],
)
def test_inputs_that_are_not_the_targets(mmgan: Callable[..., View], change: Any) -> None:
    view = mmgan("pixelwise", change=change)
    with pytest.raises(GantkError, match="the inputs are not the targets"):
        loss_of(view)(view)


def test_a_discriminator_of_one_map_is_refused(mmgan: Callable[..., View]) -> None:
    plain = 'translators.generator.discriminator={use="patchgan",channels=2,layers=1}'
    view = mmgan("adversarial", overrides=(plain,))
    with pytest.raises(GantkError, match="modality_patchgan"):
        loss_of(view)(view)


def test_two_steps_of_the_recipe(build: Callable[..., Any], make_group: Callable[..., Group]) -> None:
    def train() -> list[Tensor]:
        built = build("mmgan.toml", TINY)
        optimizers = {role: Optimizers(t, built.assembly.optimizers[role]) for role, t in built.translators.items()}
        updater = Updater(built.translators, optimizers, built.plan, built.recipe.training, nullcontext)
        before = [p.clone() for p in built.translators["generator"].parameters()]
        for step in range(2):
            torch.manual_seed(step)
            whole = make_group(4, inputs=4, shape=(16, 16), seed=step)
            batch = {"paired": replace(whole, target=whole.source)}
            batch = built.assembly.transformed(batch, Moment("training", 0, 20, step))
            assert (batch["paired"].available.sum(dim=1) == 3).all()  # the curriculum begins with one missing
            losses = updater.step([batch], {"generator": 1.0})
            assert set(losses) == {"generator/adversarial", "generator/pixelwise", "generator/adversarial (D)"}
        after = list(built.translators["generator"].parameters())
        changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True) if a.numel() > 2]
        assert all(changed)
        return after

    assert all(torch.equal(a, b) for a, b in zip(train(), train(), strict=True))
