"""A loss or map in a step of two small translators, all in double precision."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ds3net_paper import SMALL, Reference
from gantk.data.layout import Domain
from gantk.translation import MapSlot, StagePlan, Step, Term, Translator, View
from gantk_baselines.feature_network import FeatureNetwork
from written_plugins import GOOD

Plugin = Callable[..., EntryPoint]
TAKES, GIVES = Domain("source", None, 3), Domain("target", None, 1)


class Blend(nn.Module):
    """A generator: a 1×1 convolution and tanh."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.layer(image))


class Critic(nn.Module):
    """A discriminator: a 4×4 strided convolution, smooth so that it can be differentiated twice."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, 1, 4, stride=4)

    def forward(self, image: Tensor) -> Tensor:
        scores = self.layer(image)
        return scores + 0.3 * scores**2


@pytest.fixture
def at(make_group: Callable[..., Any]) -> Callable[..., View]:
    """The view of a loss: translators `teacher` and `student`, groups `paired` and `unpaired`, 3 inputs, 8×12."""

    def make(
        loss: Any = None,
        *,
        role: str = "teacher",
        group: str = "paired",
        conditional: bool = False,
        weight_map: Callable[[View], Tensor] | None = None,
        sizes: tuple[int, int] = (2, 2),
    ) -> View:
        torch.manual_seed(5)
        translators = {
            name: Translator(name, TAKES, GIVES, Blend(3), Critic(4 if conditional else 1), conditional).double()
            for name in ("teacher", "student")
        }
        for translator in translators.values():
            for parameter in translator.parameters():
                nn.init.normal_(parameter, 0, 0.6)
        term = Term("term", role, group, loss or (lambda view: view.output.mean()), map="m" if weight_map else None)
        maps = {"m": MapSlot("m", weight_map)} if weight_map else {}
        plan = StagePlan("training", ("teacher", "student"), [term], maps, translators)
        batch = {
            "paired": make_group(sizes[0], seed=1, shape=(8, 12), dtype=torch.float64),
            "unpaired": make_group(sizes[1], seed=2, shape=(8, 12), target=False, dtype=torch.float64),
        }
        return View(Step(translators, plan, batch), role, group, term)

    return make


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """Writes a module, and gives an entry point to it that belongs to a distribution."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(name: str, text: str = GOOD, *, distribution: str | None = None, module: str | None = None) -> EntryPoint:
        distribution = distribution or f"{name}-dist"
        module = module or f"tmp_{distribution.replace('-', '_')}_{name}"
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[gantk]\n{name} = {module}\n")
        importlib.invalidate_caches()
        return next(p for p in Distribution.at(info).entry_points if p.name == name and p.value == module)

    yield make
    for added in set(sys.modules) - before:
        if added.startswith("tmp_"):
            del sys.modules[added]


@pytest.fixture(scope="module")
def kept() -> Iterator[FeatureNetwork]:
    """The random VGG-11, alive for the whole module, so that it is drawn once."""
    network = FeatureNetwork.shared("vgg11", "random", True)
    yield network
    del network
    gc.collect()


@pytest.fixture(scope="module")
def prepare(build: Callable[..., Any], make_group: Callable[..., Any]) -> Callable[..., Any]:
    """Builds a small DS³-Net with wide random weights, a batch, and the paper's reference for both."""

    def make(*overrides: str, stage: str = "joint") -> Any:
        built = build("ds3_published.toml", [*SMALL, *overrides], stage=stage, spread=0.15)
        for translator in built.translators.values():
            translator.double()
        built.batch = {
            "paired": make_group(2, seed=1, dtype=torch.float64),
            "unpaired": make_group(2, seed=2, target=False, dtype=torch.float64),
        }
        built.step = Step(built.translators, built.plan, built.batch)
        built.reference = Reference(built.translators, built.batch)

        def view(name: str) -> View:
            term = built.term(name)
            return View(built.step, term.role, term.group, term)

        built.view = view
        return built

    return make


@pytest.fixture(scope="module")
def joint(prepare: Callable[..., Any]) -> Any:
    """The second stage, with nothing changed by the tests that use it."""
    return prepare()
