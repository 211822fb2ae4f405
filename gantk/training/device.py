"""The device that a run uses, and the precision that its networks run in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal

import torch

from gantk.errors import UsageError


def pick_device(name: str = "auto") -> torch.device:
    """The named device, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Raises:
        UsageError: there is no such device here.
    """
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
            where="--device",
            why=str(error).partition(". ")[0].splitlines()[0],
            mend="use auto, cpu, cuda, cuda:N or mps",
        ) from None
    return device


def autocasting(device: torch.device, precision: Literal["fp32", "bf16"]) -> Callable[[], AbstractContextManager[Any]]:
    """A context in which networks run in the precision; bf16 keeps weights and losses in fp32."""
    if precision == "fp32":
        return nullcontext
    return partial(torch.autocast, device.type, torch.bfloat16)
