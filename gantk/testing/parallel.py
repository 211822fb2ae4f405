"""A network's gradients from two processes that share a batch, as in data-parallel training."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gantk.testing.failures import ConformanceError

__all__ = ["form_weights", "parallel_gradients"]

PROCESSES = 2
SECONDS = 60


def parallel_gradients(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """The gradients, by parameter, of a random mean of the network's answer, each process with half of the batch.

    The processes are a gloo group on the CPU; the network is wrapped in torch's DistributedDataParallel.

    Args:
        network: maps the image to a tensor; its mode stays as it is.
        image: (B, C, H, W), B even.

    Raises:
        ConformanceError: a process failed or did not end.
    """
    # a forked process has already imported everything; forking is only safe on Linux
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        import_module("torch._dynamo")  # DistributedDataParallel would import it, which takes seconds in each process
    network.zero_grad(set_to_none=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        processes = [context.Process(target=_work, args=(rank, folder, network, image)) for rank in range(PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(SECONDS)
        stuck = [process for process in processes if process.is_alive()]
        for process in stuck:
            process.kill()
        errors = [path.read_text() for path in sorted(folder.glob("*.error"))]
        if stuck or errors or any(process.exitcode for process in processes):
            why = errors[0] if errors else "they did not end" if stuck else "one of them died"
            raise ConformanceError(
                f"the network cannot be trained in two processes: {why}",
                "use every trainable parameter in each pass, and keep the network free of locks and open files",
            )
        return torch.load(folder / "0.gradients", weights_only=True)


def form_weights(shape: Sequence[int]) -> Tensor:
    """Random weights, the same in every process, float64."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _work(rank: int, folder: Path, network: nn.Module, image: Tensor) -> None:
    torch.set_num_threads(1)  # the parent's threads do not exist here
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    try:
        _train(rank, folder, network, image)
    except BaseException:
        (folder / f"{rank}.error").write_text(traceback.format_exc())
        raise SystemExit(1) from None


def _train(rank: int, folder: Path, network: nn.Module, image: Tensor) -> None:
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    share = len(image) // PROCESSES
    mine = slice(rank * share, (rank + 1) * share)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=PROCESSES)
    # as the core wraps networks; some weights may be used for features alone
    parallel = DistributedDataParallel(network, find_unused_parameters=True)  # exchanges for as long as it is alive
    output = parallel(image[mine])
    weights = form_weights((len(image), *output.shape[1:]))[mine].to(output)
    (output * weights).mean().backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    if rank == 0:
        torch.save(gradients, folder / "0.gradients")
    distributed.barrier()
    distributed.destroy_process_group()
