"""Checkpointed activations: the same values, gradients, buffers and random numbers with less memory."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.profiler import ProfilerActivity, profile

import gantk
from gantk import RecipeError
from gantk.recipe import recipe_from_table
from gantk.testing import run_recipe
from gantk.translation.checkpointing import checkpoint, checkpointed, divide
from gantk_baselines.generators import ResidualUnet, Resnet


class Block(nn.Module):
    """A third-party block: dropout, batch norm, and a spectral norm, whose buffers change in every pass."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        self.second = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        return x + scale * self.dropout(self.second(self.first(x)))


class Stranger(nn.Module):
    """A generator without segments."""

    def __init__(self, blocks: int = 6) -> None:
        super().__init__()
        self.enter = nn.Conv2d(2, 8, 3, padding=1)
        self.blocks = nn.ModuleList(Block(8) for _ in range(blocks))
        self.leave = nn.Sequential(nn.Conv2d(8, 1, 1), nn.Tanh())

    def forward(self, image: Tensor) -> Tensor:
        x = self.enter(image)
        for block in self.blocks:
            x = block(x, scale=0.5)
        return self.leave(x)


def learnt(network: nn.Module, on: bool, image: Tensor, passes: int = 2) -> tuple[Any, ...]:
    """The results of training steps: outputs, gradients, buffers, and the next random number."""
    torch.manual_seed(1)
    outputs = []
    with checkpointed(on):
        for number in range(passes):
            outputs.append(network(image + number))
    torch.stack(outputs).square().mean().backward()
    return (
        [output.detach() for output in outputs],
        {name: parameter.grad for name, parameter in network.named_parameters()},
        dict(network.named_buffers()),
        torch.rand(3),
    )


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    pairs = zip(one.values(), other.values(), strict=True) if isinstance(one, dict) else zip(one, other, strict=True)
    return all(same(a, b) for a, b in pairs)


NETWORKS = {
    "stranger": (Stranger, (2, 2, 12, 16)),
    "resnet": (lambda: Resnet(2, 1, channels=4, blocks=2, dropout=0.5, norm="batch"), (2, 2, 16, 24)),
    "residual unet": (lambda: ResidualUnet(2, 1, channels=4, levels=2, dimensions=3), (1, 2, 8, 12, 16)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_all_is_as_without_bit_by_bit(name: str) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    plain = make()
    divided = copy.deepcopy(plain)
    divide(divided)
    assert list(divided.state_dict()) == list(plain.state_dict())
    image = torch.randn(shape)
    assert same(learnt(divided, True, image), learnt(plain, False, image))


def test_gradients_of_gradients_and_several_gradients_are_as_without() -> None:
    torch.manual_seed(0)
    plain = Resnet(1, 1, channels=4, blocks=2)
    divided = copy.deepcopy(plain)
    divide(divided)

    def gradients(network: nn.Module, on: bool) -> list[Tensor]:
        image = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16).requires_grad_()
        with checkpointed(on):
            output = network(image)
        (slope,) = torch.autograd.grad(output.sum(), image, create_graph=True)  # as a penalty asks
        weights = [*network.parameters()]
        one = torch.autograd.grad(output.square().sum(), weights, retain_graph=True)  # as a balance of terms asks
        two = torch.autograd.grad(slope.square().sum(), weights, allow_unused=True)
        return [slope, *one, *(gradient for gradient in two if gradient is not None)]

    assert same(gradients(divided, True), gradients(plain, False))


def test_blocks_are_computed_again() -> None:
    network, seen = Stranger(), Counter[str]()
    for name, module in network.named_modules():
        module.register_forward_hook(lambda *_, name=name: seen.update([name]))
    divide(network)
    with checkpointed():
        output = network(torch.randn(1, 2, 8, 8))
    once = Counter(seen)
    output.sum().backward()
    inside = [f"blocks.{number}.first.0" for number in range(6)]
    assert all(seen[name] == 2 * once[name] for name in inside)
    assert seen["enter"] == once["enter"]  # alone it is not a segment


def test_less_is_kept() -> None:
    torch.manual_seed(0)
    network = ResidualUnet(1, 1, channels=8, levels=2, blocks=2, dimensions=3)

    def kept(on: bool) -> int:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen, checkpointed(on):
            output = network(torch.zeros(1, 1, 24, 24, 24))
        assert output.requires_grad
        return sum(event.self_cpu_memory_usage for event in seen.key_averages())

    kept(False)  # computed once
    plain = kept(False)
    divide(network)
    assert kept(True) < 0.6 * plain
    assert kept(False) == plain


def test_without_gradient_or_switch_nothing_changes() -> None:
    network = Stranger().eval()
    plain = network(torch.ones(1, 2, 8, 8))
    divide(network)
    assert torch.equal(network(torch.ones(1, 2, 8, 8)), plain)
    with checkpointed(), torch.no_grad():
        assert torch.equal(network(torch.ones(1, 2, 8, 8)), plain)
    assert checkpoint(lambda x, *, y: x + y, 1, y=2) == 3


def test_segments_within_segments_are_one() -> None:
    runs: list[str] = []

    def inner(x: Tensor) -> Tensor:
        runs.append("inner")
        return x.sin()

    def outer(x: Tensor) -> Tensor:
        runs.append("outer")
        return checkpoint(inner, x).cos()

    with checkpointed():
        value = checkpoint(outer, torch.ones(2, requires_grad=True))
    value.sum().backward()
    assert runs == ["outer", "inner"] * 2


def test_copies_have_segments_of_their_own() -> None:
    network = Resnet(2, 1, channels=4, blocks=2)
    divide(network)
    image = torch.rand(1, 2, 8, 8)
    for copied in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        with torch.no_grad():
            for parameter in copied.parameters():
                parameter.zero_()
        assert not copied(image).any()
    assert network(image).any()


def test_a_network_within_a_network_is_divided() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = Stranger()

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x)

    network = Wrapped()
    divide(network)
    assert "forward" not in vars(network.network)
    assert all("forward" in vars(block) for block in network.network.blocks)


RECIPE = """
name = "checkpointed"
translators.g.generator = { use = "unet", levels = 2, channels = 4, dropout = 0.5 }
translators.g.discriminator = { use = "patchgan", layers = 1, channels = 4 }
losses.pixelwise = { use = "l1", on = "g", weight = 10 }
losses.adversarial = { use = "lsgan", on = "g" }
schedule = { use = "constant", epochs = 1 }
training = { ema = 0.5 }
evaluation = { metrics = ["mse"], regions = ["image"] }

[data]
dataset = "phantom"
inputs = ["t1", "t2"]
target = "t1ce"
crop = [32, 32]
slices = "all"
"""


@pytest.mark.slow
def test_a_run_gives_the_same_numbers(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run_recipe(RECIPE, steps=3, folder=tmp_path / "plain")
    used: list[object] = []
    recomputed = gantk.translation.checkpointing.recomputed
    monkeypatch.setattr(
        "gantk.translation.checkpointing.recomputed",
        lambda *given, **named: used.append(given) or recomputed(*given, **named),
    )
    again = run_recipe(RECIPE, ["training.checkpoint_activations=true"], steps=3, folder=tmp_path / "again")
    assert used
    assert again.losses == plain.losses
    assert again.summary["methods"] == plain.summary["methods"]


def test_compiled_networks_are_refused() -> None:
    table = {
        "name": "both",
        "data": {"dataset": "phantom", "inputs": ["t1"], "target": "t2"},
        "translators": {"g": {"generator": {"use": "unet"}}},
        "losses": {"l": {"use": "l1", "on": "g"}},
        "schedule": {"use": "constant"},
        "training": {"compile": True, "checkpoint_activations": True},
    }
    with pytest.raises(RecipeError, match="compile and checkpoint_activations cannot be combined"):
        recipe_from_table(table)
