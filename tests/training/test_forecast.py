"""The cost of a step is measured on copies: the run is the same with and without it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch

from gantk.errors import GantkError, MemoryShortage
from gantk.training import forecast
from gantk.training.forecast import step_cost
from gantk.training.rehearsal import copy_of

SMALL = ["data.crop=[16, 24]", "data.batch={paired=2}"]
PIX2PIX = [*SMALL, *(f"translators.generator.{part}.channels=4" for part in ("generator", "discriminator"))]
CPU = torch.device("cpu")


def cost(built: Any) -> forecast.Cost:
    return step_cost(built.recipe, built.assembly, built.stage, CPU)


def test_networks_and_random_numbers_stay_as_they_are(build: Callable[..., Any]) -> None:
    built = build("pix2pix.toml", [*PIX2PIX, "translators.generator.generator.levels=2"])
    (translator,) = built.translators.values()
    before = {name: tensor.clone() for name, tensor in translator.state_dict().items()}
    training = translator.training
    random = torch.get_rng_state()
    found = cost(built)
    assert found.seconds > 0
    assert found.memory > 10**6
    assert torch.equal(torch.get_rng_state(), random)
    assert translator.training == training
    assert all(torch.equal(tensor, before[name]) for name, tensor in translator.state_dict().items())
    assert all(p.grad is None for p in translator.parameters())


def test_the_copies_are_gone_afterwards(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[Any] = []

    def copied(assembly: Any) -> Any:
        copy = copy_of(assembly)
        copies.extend(weakref.ref(translator) for translator in copy.translators.values())
        return copy

    monkeypatch.setattr(forecast, "copy_of", copied)
    built = build("pix2pix.toml", [*PIX2PIX, "translators.generator.generator.levels=2"])
    gc.disable()
    try:
        cost(built)
        assert [copy() for copy in copies] == [None]
    finally:
        gc.enable()


def test_two_steps_of_the_stages_own_batches_are_made(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[int, tuple[int, ...]]] = []

    class Counted(forecast.Updater):
        def step(self, batches: Any, *rest: Any) -> Any:
            steps.append((len(batches), tuple(batches[0]["paired"].source.shape)))
            return super().step(batches, *rest)

    monkeypatch.setattr(forecast, "Updater", Counted)
    cost(build("pix2pix.toml", [*PIX2PIX, "translators.generator.generator.levels=2", "training.accumulate=3"]))
    assert steps == [(3, (2, 3, 16, 24))] * 2


def test_a_shortage_of_memory_names_what_may_be_smaller(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any) -> Any:
        raise torch.OutOfMemoryError("of 80 GiB")

    monkeypatch.setattr(forecast.Updater, "step", short)
    built = build("pix2pix.toml", [*PIX2PIX, "translators.generator.generator.levels=2"])
    with pytest.raises(MemoryShortage, match=r"for a step.*data\.batch, data\.crop") as caught:
        cost(built)
    assert isinstance(caught.value, GantkError)
