"""The device of a run, its determinism, and the precision of its networks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch.amp.grad_scaler import GradScaler

from gantk.errors import TrainingError, UsageError
from gantk.recipe.model import RunSettings
from gantk.recipe.values import Precision

#: Pixels that a CPU translates at once: what larger images become on the way is not kept in its caches, and is given
#: fresh memory each time. A ResNet of 64 channels takes 1.5 times as long for 16 slices of 224² as for one by one.
PIXELS = 2**17


def pick_device(name: str = "auto") -> torch.device:
    """The named device; `auto` is that of `GANTK_DEVICE`, or else the best one: CUDA, Apple's MPS, then the CPU.

    Raises:
        UsageError: there is no such device here.
    """
    default = os.environ.get("GANTK_DEVICE", "auto")
    asked, name = name, default if name == "auto" else name
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).tolist()
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"the device {name!r} cannot be used",
            where="--device" if asked != "auto" else "GANTK_DEVICE",
            why=str(error).partition(". ")[0].splitlines()[0],
            mend="use auto, cpu, cuda, cuda:N or mps",
        ) from None
    return device


def autocasting(device: torch.device, precision: Precision) -> Callable[[], AbstractContextManager[Any]]:
    """A context in which networks run in the precision; weights and losses stay in fp32."""
    if precision == "fp32":
        return nullcontext
    return partial(torch.autocast, device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


@contextmanager
def computing(device: torch.device, settings: RunSettings) -> Iterator[None]:
    """A context in which torch's process-wide settings are those of a recipe; the former ones are restored afterwards.

    Raises:
        TrainingError: the run is deterministic, but an operation has no deterministic implementation on the device.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32, torch.are_deterministic_algorithms_enabled()
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA begins
    cudnn.benchmark = device.type == "cuda" and not settings.deterministic  # images have one size
    cudnn.allow_tf32 = matmul.allow_tf32 = settings.tf32
    torch.use_deterministic_algorithms(settings.deterministic)
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise TrainingError(
            f"{str(error).split()[0]} has no deterministic implementation on {device.type}",
            where="run.deterministic",
            why="two runs could differ in their last bits",
            mend="choose components that do not use it, or set run.deterministic = false",
        ) from error
    finally:
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before[:3]
        torch.use_deterministic_algorithms(before[3])


def images_at_once(device: torch.device, most: int, size: Sequence[int]) -> int:
    """How many images of a size are translated at once; on a CPU limited to a fast number."""
    return most if device.type != "cpu" else min(most, max(1, PIXELS // math.prod(size)))


def make_scaler(device: torch.device, precision: Precision) -> GradScaler:
    """Keeps fp16 gradients from vanishing and skips updates that overflow; does nothing in other precisions."""
    return GradScaler(device.type, enabled=precision == "fp16")
