"""Which of the processes of one run this is, as torchrun and Slurm say it in the environment."""

from __future__ import annotations

import os

__all__ = ["rank", "world_size"]


def world_size() -> int:
    """How many processes train this run together; default: 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """This process's number among them; 0 where it is alone."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0
