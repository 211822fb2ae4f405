"""Several processes that train one run: what they exchange, and that they learn what one process would."""

from __future__ import annotations

import multiprocessing
import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from gantk.api.checks import make_scheduler
from gantk.errors import RecipeError
from gantk.plugins import Registry, load_plugins
from gantk.recipe import Recipe, dump_recipe, load_recipe, recipe_from_table
from gantk.recipe.variants import is_sweep
from gantk.testing import make_group
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.training.world import World, _backend
from gantk.translation import assemble
from small_recipes import batch, small

RECIPES = Path(__file__).parents[2] / "recipes"
#: Images of a group: two for each process.
BATCH = 4
#: Their losses draw numbers for each image, which a process draws for its own images alone.
DRAWN = {"stargan"}
#: Minutes each on volumes, so they are compared on slices; other recipes are compared on volumes.
SLOW = {RECIPES / "volumes" / "ds3_semi.toml", RECIPES / "brats2020" / "volumes_ds3_5pct.toml"}


def test_a_world_of_one_changes_nothing() -> None:
    world, module = World(), nn.Linear(1, 1)
    group = make_group(3, 1, 1, (8, 8))
    assert world.share({"paired": group})["paired"] is group
    assert world.together(module) is module
    assert world.any(True)
    assert not world.any(False)
    assert world.gather(3) == [3]
    assert world.told(lambda: 4) == 4


@pytest.mark.parametrize(
    ("device", "chosen", "here", "backend"),
    [
        ("auto", "cpu", 2, "gloo"),
        ("auto", "cuda:1", 2, "nccl"),
        ("cuda", "cuda:0", 2, "nccl"),
        ("cuda:0", "cuda:0", 2, "gloo"),  # NCCL refuses processes that share a GPU
        ("cuda:0", "cuda:0", 1, "nccl"),  # one process on each of several machines
    ],
)
def test_processes_communicate_by_nccl_unless_they_share_a_gpu(
    device: str, chosen: str, here: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    assert _backend(device, torch.device(chosen)) == backend


def test_uneven_batches_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"3 images cannot be divided evenly among 2 processes(.|\n)*multiple of 2"):
        World(size=2).check({"paired": 3, "unpaired": 4}, ["paired", "unpaired"])


def test_parts_of_a_group_are_its_slices() -> None:
    group = make_group(4, 2, 1, (8, 8))
    group.extra["age"] = torch.arange(4.0)
    parts = [group.part(number, 2) for number in range(2)]
    assert torch.equal(torch.cat([part.source for part in parts]), group.source)
    assert torch.equal(torch.cat([part.extra["age"] for part in parts]), group.extra["age"])
    assert parts[0].patients + parts[1].patients == group.patients


def test_batch_norms_are_synchronized_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def networks() -> Any:
        return {"g": nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))}

    alone, together, here = networks(), networks(), networks()
    World().synchronize(alone)
    assert type(alone["g"][1]) is nn.BatchNorm2d
    before = dict(together["g"].named_parameters())
    World(size=2, device=torch.device("cuda")).synchronize(together)
    assert type(together["g"][1]) is nn.SyncBatchNorm
    assert all(parameter is before[name] for name, parameter in together["g"].named_parameters())
    with pytest.raises(RecipeError, match=r"training.sync_batch_norm.*on cpu.*only on GPUs"):
        World(size=2).synchronize(here)


# --- two processes -----------------------------------------------------------------------------------------


def in_two(folder: Path, work: Callable[..., None], *arguments: Any) -> None:
    """`work(world, *arguments)` in two processes of a gloo group; asserts that both succeed."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_join, args=(rank, folder, work, arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(500)
    assert [process.exitcode for process in processes] == [0, 0]


def _join(rank: int, folder: Path, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)  # the parent's threads do not exist here
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    work(World(rank, 2), *arguments)
    dist.barrier()
    dist.destroy_process_group()


def exchange(world: World) -> None:
    assert world.mean(torch.tensor([float(world.rank), 3.0])).tolist() == [0.5, 3.0]
    assert world.any(world.rank == 1)
    assert not world.any(False)
    assert world.gather(f"of {world.rank}") == ["of 0", "of 1"]
    assert world.told(lambda: f"made by {world.rank}") == "made by 0"
    buffer = torch.tensor([world.rank + 5])
    world.align([buffer])
    assert buffer.tolist() == [5]


def test_what_processes_exchange(tmp_path: Path) -> None:
    in_two(tmp_path, exchange)


def recipes() -> Iterator[tuple[str, Recipe]]:
    for path in sorted(RECIPES.rglob("*.toml")):
        if not is_sweep(path) and path.stem not in DRAWN:
            recipe = load_recipe(path)
            yield path.relative_to(RECIPES).as_posix(), small(of_slices(recipe) if path in SLOW else recipe)


def of_slices(recipe: Recipe) -> Recipe:
    """A recipe of volumes on slices."""
    table = tomllib.loads(dump_recipe(recipe))
    for key in ("dimensions", "patch", "patches"):
        table["data"].pop(key, None)
    table["evaluation"].pop("volumes", None)
    table.pop("inference", None)
    return recipe_from_table(table)


def gradients(recipe: Recipe, registry: Registry, world: World) -> dict[str, torch.Tensor] | None:
    """The gradients and values of a step of every stage; None if a network depends on the batch or draws."""
    assembly = assemble(recipe, registry, 3 if recipe.data.dataset == "images" else 1)
    if any(hasattr(translator.generator, "sample") for translator in assembly.translators.values()):
        return None
    if any(
        (isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats)
        or (isinstance(m, nn.Dropout | nn.Dropout2d) and m.p > 0)
        for translator in assembly.translators.values()
        for m in translator.modules()
    ):
        return None
    for translator in assembly.translators.values():
        translator.double()  # Adam's first step has the sign of the gradient, whatever it is rounded to
    found = {}
    for stage in make_scheduler(recipe, registry).stages(recipe.learning):
        plan = assembly.plan(stage.name, stage.roles)
        optimizers = {role: Optimizers(assembly.translators[role], assembly.optimizers[role]) for role in stage.roles}
        updater = Updater(assembly.translators, optimizers, plan, recipe.training, nullcontext, world)
        torch.manual_seed(0)
        whole = {name: group._changed(_double) for name, group in batch(recipe, assembly, plan, BATCH).items()}
        losses = updater.step([world.share(whole)], dict.fromkeys(stage.roles, 1.0))
        found |= {f"{stage.name}: {name}": torch.tensor(value) for name, value in losses.items()}
        for role in stage.roles:
            for name, parameter in assembly.translators[role].named_parameters():
                if parameter.grad is not None:
                    found[f"{stage.name}: {role}.{name}"] = parameter.grad.clone()
    return found


def _double(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def compare(world: World, registry: Registry) -> None:
    compared, worst = 0, {}
    for name, recipe in recipes():
        together = gradients(recipe, registry, world)
        alone = gradients(recipe, registry, World()) if world.first else None
        if together is None or alone is None:
            continue
        assert together.keys() == alone.keys(), name
        scale = max(float(value.abs().max()) for value in alone.values())
        for what, value in alone.items():
            worst[f"{name}, {what}"] = float((value - together[what]).abs().max()) / max(1.0, scale)
        compared += 1
    assert compared > 10 or not world.first
    assert {what: difference for what, difference in worst.items() if difference > 1e-6} == {}


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    """A batch shared by two gives the gradients and values of the whole batch, for every shipped recipe."""
    in_two(tmp_path, compare, load_plugins().registry)
