"""The command line, called in this process, and a recipe for it."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from gantk.cli.main import app

RECIPE = """
name = "tiny"
[data]
dataset = "phantom"
inputs = ["t1", "t2"]
target = "t1ce"
crop = [32, 32]
batch = { paired = 2 }
[translators.g]
generator = { use = "unet", levels = 3, channels = 4 }
[translators.g.optimizer]
rates = { generator = 1e-3 }
[losses.pixelwise]
use = "l1"
on = "g"
[schedule]
use = "constant"
epochs = 1
"""


def call(*arguments: str | Path) -> Result:
    """What `gantk ARGUMENTS` answers."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
