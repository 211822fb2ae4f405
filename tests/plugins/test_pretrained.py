"""The Hugging Face hub is quiet while weights are fetched, and speaks again afterwards."""

from __future__ import annotations

import logging

import pytest

from gantk_baselines.pretrained import quiet_hub


def fetch(logger: logging.Logger) -> None:
    with quiet_hub():
        logger.warning("retrying")
        logger.error("given up")
        raise OSError("offline")


def test_retries_are_not_printed_and_the_level_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        with pytest.raises(OSError, match="offline"):
            fetch(logger)
        assert logger.level == logging.INFO, "also after a failure"
        logger.warning("heard again")
    finally:
        logger.setLevel(before)
    assert [record.message for record in caplog.records] == ["given up", "heard again"]
