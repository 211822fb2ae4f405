"""Completion in a shell."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gantk.cli.main import app


@pytest.mark.parametrize(
    ("words", "start", "found"),
    [("run", "pix2p", "pix2pix"), ("list", "loss", "losses"), ("show losses", "patch", "patch_nce")],
)
def test_completion(words: str, start: str, found: str) -> None:
    asked = {"_GANTK_COMPLETE": "complete_bash", "COMP_WORDS": f"gantk {words} {start}"}
    asked["COMP_CWORD"] = str(len(words.split()) + 1)
    done = CliRunner().invoke(app, [], prog_name="gantk", env=asked)
    assert found in done.stdout.split()
