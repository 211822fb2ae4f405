"""Translators small enough to compute by hand, and batches for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk.data.batch import Group
from gantk.data.layout import Domain
from gantk.plugins import Registry
from gantk.recipe.load import recipe_from_table
from gantk.recipe.model import TrainingSettings
from gantk.recipe.translators import OptimizerSettings
from gantk.training.engine import Engine
from gantk.training.optimizers import Optimizers
from gantk.training.state import TrainingState
from gantk.training.update import Updater
from gantk.translation import StagePlan, Term, Translator, View, assemble
from gantk.translation.assembly import optimizer_slot
from tiny_engine import Batches, Heard, changed

TAKES, GIVES = Domain("source", None, 2), Domain("target", None, 1)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def generator(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1), nn.Tanh())


def discriminator(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 3))


def group(size: int, seed: int) -> Group:
    made = torch.Generator().manual_seed(seed)
    source, target = (torch.rand(size, c, 8, 10, generator=made) * 2 - 1 for c in (2, 1))
    names = tuple(f"P{i}" for i in range(size))
    return Group(source, target, torch.zeros(size, 1, 8, 10, dtype=torch.uint8), names, (0,) * size)


class Pixelwise:
    def __call__(self, view: View) -> Tensor:
        return (view.output - view.target).abs().mean()


class LeastSquares:
    """Both sides of the game; `relativistic` lets the generator's side look at real images too."""

    def __init__(self, relativistic: bool = False) -> None:
        self.relativistic = relativistic

    def __call__(self, view: View) -> Tensor:
        loss = (view.judge() - 1).square().mean()
        return loss + view.judge(view.target).square().mean() if self.relativistic else loss

    def discriminator(self, view: View) -> Tensor:
        return (view.judge(view.target) - 1).square().mean() + view.judge(view.fake).square().mean()


class Bench:
    """Translators with terms, ready to be updated."""

    def __init__(
        self,
        registry: Registry,
        terms: Mapping[str, Any],
        roles: tuple[str, ...] = ("g",),
        trained: tuple[str, ...] | None = None,
        optimizer: Mapping[str, Any] = {"use": "sgd", "momentum": 0.0},
        **training: Any,
    ) -> None:
        self.translators = {
            role: Translator(
                role,
                TAKES,
                GIVES,
                generator(10 * i),
                discriminator(10 * i + 1),
                False,
            )
            for i, role in enumerate(roles)
        }
        slot = optimizer_slot(OptimizerSettings(**optimizer), "optimizer", registry)
        self.optimizers = {role: Optimizers(t, slot) for role, t in self.translators.items()}
        placed = [Term(name, loss.__dict__.get("on", roles[0]), "paired", loss) for name, loss in terms.items()]
        self.plan = StagePlan("stage", trained or roles, placed, {}, self.translators)
        settings = TrainingSettings(**training)
        self.updater = Updater(self.translators, self.optimizers, self.plan, settings, nullcontext)

    def step(self, *groups: Group, weight: float = 1.0) -> dict[str, float]:
        return self.updater.step([{"paired": g} for g in groups], dict.fromkeys(self.translators, weight))

    def weights(self, part: str, role: str = "g") -> Tensor:
        module = getattr(self.translators[role], part)
        return torch.cat([p.detach().flatten() for p in module.parameters()]).clone()


@pytest.fixture(scope="session")
def bench(registry: Registry) -> Callable[..., Bench]:
    return partial(Bench, registry)


@pytest.fixture(scope="session")
def losses() -> dict[str, type]:
    return {"pixelwise": Pixelwise, "adversarial": LeastSquares}


@pytest.fixture(scope="session")
def batch() -> Callable[[int, int], Group]:
    return group


@pytest.fixture
def engine(tmp_path: Path, batch: Any, registry: Registry) -> Callable[..., Engine]:
    def make(stopping: Callable[[], bool] = lambda: False, folder: Path = tmp_path, **tables: Any) -> Engine:
        recipe = recipe_from_table(changed(**tables))
        schedule = registry.get("scheduler", recipe.schedule.use, "schedule.use")
        scheduler = schedule.build(recipe.schedule.parameters, "schedule")
        state = TrainingState(recipe, assemble(recipe, registry), scheduler, torch.device("cpu"))
        facts = {"recipe": "name = 'tiny'"}
        return Engine(recipe, state, Batches(batch), folder, facts, Heard(), lambda plan, position: {}, stopping)  # type: ignore[arg-type]

    return make
