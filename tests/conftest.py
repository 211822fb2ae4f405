"""Shared by all tests: one thread, a cache of their own, the installed plugins, random batches, the marker `slow`."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch
os.environ.setdefault("GANTK_DEVICE", "cpu")  # of all tests except tests/cuda

if TYPE_CHECKING:
    from gantk.data.batch import Group
    from gantk.plugins import Registry
    from gantk.recipe import Recipe
    from gantk.translation import Assembly, StagePlan

# a busy machine must not fail tests
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

TESTS = Path(__file__).parent
RECIPES = TESTS.parent / "recipes"
FAST = {
    "data",
    "recipe",
    "tables",
    "training",
    "translation",
    "test_errors.py",
    "test_files.py",
    "test_memory.py",
    "test_names.py",
    "test_progress.py",
    "test_ranges.py",
    "test_ranks.py",
    "test_repository.py",
    "test_tensors.py",
}
"""Folders and files whose tests neither start processes nor train through the API; all others are marked slow."""


def _is_slow(path: Path) -> bool:
    return path != TESTS and path.is_relative_to(TESTS) and path.relative_to(TESTS).parts[0] not in FAST


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the files whose tests are all slow under `-m "not slow"`: importing them takes seconds."""
    return True if config.option.markexpr == "not slow" and _is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests outside `FAST`, so that `pytest -m "not slow"` takes less than a minute."""
    for item in items:
        if _is_slow(item.path):
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def _quick() -> Iterator[None]:
    """Tiny cohorts are prepared in this process, and no test waits for the disk: tests kill processes, not machines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gantk.workers.cores", lambda: 1)
        patch.setattr("os.fsync", lambda file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The slice cache of this test session."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTK_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def recipes() -> Path:
    """The folder of shipped recipes."""
    return RECIPES


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The components of the installed plugins."""
    from gantk.plugins import load_plugins

    return load_plugins().registry


@pytest.fixture(scope="session")
def make_group() -> Callable[..., Group]:
    """Builds a batch group of random slices: an ellipse of tissue, background exactly -1, a square tumor."""
    import torch

    from gantk.data.batch import Group

    def make(
        size: int = 2,
        inputs: int = 3,
        shape: tuple[int, int] = (16, 24),
        *,
        seed: int = 0,
        target: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> Group:
        random = torch.Generator().manual_seed(seed)
        height, width = shape
        y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None]
        inside = (x**2 + y**2 < 0.7).expand(size, 1, height, width)

        def image(channels: int) -> torch.Tensor:
            values = torch.rand(size, channels, height, width, generator=random, dtype=torch.float64)
            return torch.where(inside, values * 1.9 - 0.9, -1.0).to(dtype)

        segmentation = torch.zeros(size, 1, height, width, dtype=torch.uint8)
        segmentation[..., height // 2 : height // 2 + 4, width // 2 : width // 2 + 4] = 4
        patients = tuple(f"p{i}" for i in range(size))
        return Group(image(inputs), image(1) if target else None, segmentation, patients, (0,) * size)

    return make


@pytest.fixture
def bound_by_permissions() -> Iterator[None]:
    """Make permissions bind root too: this thread gives up the capability to override them."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no POSIX permissions")
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    libc.capget(head, before)
    bound = (ctypes.c_uint32 * 6)(*before)
    bound[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    if libc.capset(head, bound):
        pytest.skip("root cannot give up its rights here")
    yield
    libc.capset(head, before)


class Built:
    """A recipe, what it describes, and the plan of one stage."""

    def __init__(self, recipe: Recipe, assembly: Assembly, stage: str | None, registry: Registry) -> None:
        from gantk.api.checks import make_scheduler

        self.recipe, self.assembly = recipe, assembly
        self.scheduler = make_scheduler(recipe, registry)
        self.stages = {s.name: s for s in self.scheduler.stages(list(recipe.translators))}
        self.stage = self.stages[stage] if stage else next(iter(self.stages.values()))
        self.plan: StagePlan = assembly.plan(self.stage.name, self.stage.roles)
        self.translators = assembly.translators

    def term(self, name: str) -> Any:
        return next(term for term in self.plan.terms if term.name == name)


@pytest.fixture(scope="session")
def build(registry: Registry) -> Callable[..., Built]:
    """Builds a shipped recipe with overrides, its weights drawn wide so that no term is near its start value."""
    import torch

    from gantk.recipe import load_recipe
    from gantk.translation import assemble

    def make(name: str, overrides: Sequence[str] = (), stage: str | None = None, spread: float | None = None) -> Built:
        recipe = load_recipe(RECIPES / name, overrides)
        built = Built(recipe, assemble(recipe, registry), stage, registry)
        if spread is not None:
            random = torch.Generator().manual_seed(1)
            for translator in built.translators.values():
                for parameter in translator.parameters():
                    parameter.data.normal_(0, spread, generator=random)
        return built

    return make
