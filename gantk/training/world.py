"""The processes that train one run together: usually this one alone, several under `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gantk.data.batch import Batch
from gantk.errors import RecipeError, TrainingError, UsageError
from gantk.ranks import world_size
from gantk.training.device import pick_device
from gantk.translation import Translator

__all__ = ["World", "world"]

T = TypeVar("T")

#: One process may prepare data, validate or evaluate for hours while the others wait. One that dies is noticed at once.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class World:
    """The processes of one run. All do the same steps, each on its part of every batch.

    Attributes:
        rank: this process's number; 0 alone writes, tracks and displays.
        size: how many there are.
        device: that this one computes on.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, tracks and displays."""
        return self.rank == 0

    def check(self, sizes: Mapping[str, int], groups: Iterable[str]) -> None:
        """Refuse batches that cannot be divided evenly.

        Raises:
            RecipeError: a group's size is no multiple of the number of processes.
        """
        for group in groups:
            if sizes[group] % self.size:
                raise RecipeError(
                    f"{sizes[group]} images cannot be divided evenly among {self.size} processes",
                    where=f"data.batch.{group}",
                    why="data.batch is the batch of all processes together",
                    mend=f"use a multiple of {self.size}, such as {-(-sizes[group] // self.size) * self.size}",
                )

    def share(self, batch: Batch) -> Batch:
        """This process's part of a batch that all processes have."""
        if self.size == 1:
            return batch
        return {name: group.part(self.rank, self.size) for name, group in batch.items()}

    def together(self, module: nn.Module) -> nn.Module:
        """The module, with gradients that are the mean over the processes (DistributedDataParallel)."""
        if self.size == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        # unused parameters: those of terms that are absent in a step
        return DistributedDataParallel(module, find_unused_parameters=True)

    def synchronize(self, translators: Mapping[str, Translator]) -> None:
        """Let batch norms take their statistics over the parts of all processes (SyncBatchNorm); weights stay theirs.

        Raises:
            RecipeError: torch cannot do it on this device.
        """
        if self.size == 1:
            return
        if self.device.type != "cuda":
            raise RecipeError(
                f"batch norms cannot be synchronized on {self.device.type}",
                where="training.sync_batch_norm",
                why="torch supports it only on GPUs",
                mend="set it to false, or use one process",
            )
        for translator in translators.values():
            nn.SyncBatchNorm.convert_sync_batchnorm(translator)

    def apart(self, module: nn.Module) -> AbstractContextManager[None]:
        """A context in which gradients of a module from `together` accumulate without being exchanged."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()

    def mean(self, values: Tensor) -> Tensor:
        """The mean of values that each process has."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def any(self, flag: bool) -> bool:
        """Whether the value is true in any process; all get the same answer."""
        if self.size == 1:
            return flag
        said = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return bool(said.item())

    def align(self, buffers: Iterable[Tensor]) -> None:
        """Give all processes the first one's buffers: running statistics and image pools, as in its checkpoints."""
        if self.size > 1:
            for buffer in buffers:
                dist.broadcast(buffer, 0)

    def gather(self, found: T) -> list[T]:
        """The values of all processes in their order, for each of them."""
        if self.size == 1:
            return [found]
        parts: list[T] = [found] * self.size
        dist.all_gather_object(parts, found)
        return parts

    def told(self, make: Callable[[], T]) -> T:
        """The value of the first process, for all."""
        box = [make() if self.first else None]
        if self.size > 1:
            dist.broadcast_object_list(box, 0)
        return box[0]  # type: ignore[return-value]  # the others received it

    def wait(self) -> None:
        """Wait until all processes arrive here."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """A context that turns the failure of another process into a clear error.

        Raises:
            TrainingError: another process died.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not _is_connection(error):
                raise
            raise TrainingError(
                f"another of the {self.size} processes of this run has ended",
                mend="read the message of this process, if there is one; then continue with --resume",
            ) from error

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """A context that the first process enters before the others, which then find the data that it has stored."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


@contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """Join the processes that `torchrun` started; a world of one where it started none.

    They communicate by NCCL if each has a GPU of its own, and by gloo otherwise.

    Args:
        device: as `pick_device` takes it; under torchrun on GPUs, `auto` and `cuda` are each process's own GPU, and
            `cuda:N` makes all processes of a machine share this GPU, for tests.

    Raises:
        UsageError: there is no such device, or a machine has fewer GPUs than processes.
        TrainingError: another process ended while this one waited for it.
    """
    size = world_size()
    if size == 1:
        yield World(device=pick_device(device))
        return
    chosen = _own_device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group(_backend(device, chosen), timeout=PATIENCE)
    processes = World(dist.get_rank(), size, chosen)
    try:
        with processes.heard():
            yield processes
    finally:
        dist.destroy_process_group()


def _own_device(device: str) -> torch.device:
    chosen = pick_device(device)
    if chosen.type == "mps":
        return torch.device("cpu")
    if chosen.type != "cuda" or chosen.index is not None:
        return chosen
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= there:
        raise UsageError(
            f"this machine has {there} GPUs, too few for its processes",
            where=f"process {local} of this machine",
            mend=f"start at most {there} processes on it, or use --device cpu",
        )
    return torch.device("cuda", local)


def _backend(device: str, chosen: torch.device) -> str:
    """NCCL between GPUs; it refuses processes that share one."""
    shared = device not in ("auto", "cuda") and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1
    return "nccl" if chosen.type == "cuda" and not shared else "gloo"


def _is_connection(error: RuntimeError) -> bool:
    """Whether a failed exchange raised the error, and not our own code; gloo's errors have no class of their own."""
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "Connection closed" in str(error)
