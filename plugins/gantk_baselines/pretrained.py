"""Fetching pretrained weights through timm."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_hub"]


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep the Hugging Face hub from printing a line per retry; the caller reports failures."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
